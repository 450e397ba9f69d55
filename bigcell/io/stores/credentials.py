"""Keys for S3 and passwords for https, from where every program looks for them. They are never kept or shown.

Keys are in the environment, in ~/.aws, or the machine's role has them; passwords are in ~/.netrc.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from netrc import NetrcParseError, netrc
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from bigcell.core.errors import InputError

ANONYMOUS = ("AWS_NO_SIGN_REQUEST", "AWS_SKIP_SIGNATURE", "FSSPEC_S3_ANON")
"""Any of these set to a truth asks without a key, for public buckets: GDAL's, object_store's and s3fs' names for it."""
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
FRESH = timedelta(minutes=10)
"""How long a key is used before it is asked for again; roles hand out keys that end."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
AWS = "https://s3.amazonaws.com"

Provider = Callable[[], Mapping[str, Any]]


def s3_options(bucket: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """How to speak to the server of `bucket`: endpoint, region, and a key or none. InputError where there is no key.

    >>> s3_options("b", {"AWS_NO_SIGN_REQUEST": "1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "AWS_REGION": "x"})
    {'skip_signature': True, 'endpoint': 'http://127.0.0.1:9000', 'virtual_hosted_style_request': False, 'region': 'x'}
    """
    known = os.environ if environment is None else environment
    options: dict[str, Any] = {}
    session = None
    if any(_is_true(known.get(name, "")) for name in ANONYMOUS):
        options["skip_signature"] = True
    else:
        session = _session()
        options["credential_provider"] = _provider(session, bucket)
    endpoint = _first(known, ENDPOINTS) or (session and session.get_scoped_config().get("endpoint_url"))
    if endpoint:
        options |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
    region = _first(known, ("AWS_REGION", "AWS_DEFAULT_REGION")) or (session and session.get_config_variable("region"))
    options["region"] = region or ("us-east-1" if endpoint else bucket_region(bucket))
    return options


def authorization(url: str) -> dict[str, str]:
    """The header that goes to the host of `url` with the user and password in it, or with those of ~/.netrc.

    The latter are sent over https only, or within this machine. A file that others can read has none.

    >>> authorization("https://me:secret@host/a.zarr")
    {'Authorization': 'Basic bWU6c2VjcmV0'}
    """
    parts = urlsplit(url)
    if "@" in parts.netloc:
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    elif parts.scheme == "https" or parts.hostname in LOOPBACK:
        user, password = _in_netrc(parts.hostname or "")
    else:
        return {}
    told = b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {told}"} if user or password else {}


def _in_netrc(host: str) -> tuple[str, str]:
    try:
        user, _, password = netrc().hosts[host]
    except (KeyError, OSError, NetrcParseError):
        return "", ""
    return user or "", password or ""


def bucket_region(bucket: str, server: str = AWS) -> str:
    """Where AWS keeps `bucket`, which it tells everybody, also in a refusal; the first region where it does not."""
    try:
        with urlopen(Request(f"{server}/{bucket}", method="HEAD"), timeout=5) as answer:
            headers = answer.headers
    except HTTPError as error:
        headers = error.headers
    except (URLError, OSError):
        return "us-east-1"  # the first read will say that there is no network
    return headers.get("x-amz-bucket-region") or "us-east-1"


def _session() -> Any:
    try:
        from botocore.session import Session
    except ImportError as error:
        raise ImportError("botocore") from error
    return Session()


def _provider(session: Any, bucket: str) -> Provider:
    """Asks botocore for the key again from time to time, for it renews those that end."""
    held = session.get_credentials()
    if held is None:
        raise InputError(
            f"no key for s3://{bucket} was found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE; "
            "for a public bucket set AWS_NO_SIGN_REQUEST=true"
        )

    def provide() -> Mapping[str, Any]:
        key = held.get_frozen_credentials()
        return {
            "access_key_id": key.access_key,
            "secret_access_key": key.secret_key,
            "token": key.token,
            "expires_at": datetime.now(UTC) + FRESH,
        }

    return provide


def _first(known: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((known[name] for name in names if known.get(name)), "")


def _is_true(text: str) -> bool:
    return text.strip().lower() in {"1", "true", "yes", "on"}
