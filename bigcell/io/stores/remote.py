"""Stores that lie elsewhere (s3://, gs://, https://): opened with their retries, and what their refusals mean.

Requests that fail for a while (5xx, time-outs, a connection that breaks) are made again with longer and longer pauses;
what cannot succeed (a wrong key, no such bucket) is told at once.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
import zarr
from obstore.exceptions import AlreadyExistsError, NotSupportedError, PreconditionError
from obstore.store import GCSStore, HTTPStore, S3Store
from zarr.storage import ObjectStore

from bigcell.core.errors import InputError
from bigcell.io.stores.credentials import authorization, s3_options
from bigcell.io.stores.urls import without_credentials

WRITABLE = ("s3", "gs")
SCHEMES = (*WRITABLE, "http", "https")
CONCURRENCY = 64
"""Requests of one process that may be under way at once: each waits for the network, not for a core."""
FIRST: Any = {
    "max_retries": 3,
    "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=1), "base": 2},
    "retry_timeout": timedelta(seconds=15),
}
"""How often a first request is made again: who mistypes an address is told within seconds."""
LATER: Any = {
    "max_retries": 1000,
    "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=20), "base": 4},
    "retry_timeout": timedelta(minutes=3),
}
"""How often a request is made again once the store is known to be there: for three minutes, with pauses drawn between
the first and four times the one before."""
CLIENT = {"connect_timeout": "10s", "timeout": "120s", "allow_http": True}

Native = S3Store | GCSStore | HTTPStore


def connect(url: str, *, patient: bool = True) -> Native:
    """The object store at `url`, whose keys begin below it. `patient`: see `LATER` and `FIRST`.

    InputError for an address that is none, ImportError where the package for its keys is missing.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise InputError(f"{without_credentials(url)} cannot be read; wanted a folder, https://, s3:// or gs://")
    common: dict[str, Any] = {"client_options": CLIENT, "retry_config": LATER if patient else FIRST}
    if parts.scheme in ("http", "https"):
        common["client_options"] = {**CLIENT, "default_headers": authorization(url)}
        return HTTPStore.from_url(without_credentials(url), **common)  # a store tells its address in many messages
    if not parts.netloc or "@" in parts.netloc:
        what = "holds a key, which belongs in the environment" if parts.netloc else "names no bucket"
        raise InputError(f"the address {without_credentials(url)} {what}; wanted {parts.scheme}://bucket/path")
    prefix = parts.path.strip("/") or None
    if parts.scheme == "gs":
        return GCSStore(parts.netloc, prefix=prefix, **common)
    return S3Store(parts.netloc, prefix=prefix, **s3_options(parts.netloc), **common)


def zarr_store(url: str, *, read_only: bool, patient: bool = True) -> ObjectStore[Any]:
    """The zarr store at `url`."""
    if zarr.config.get("async.concurrency") < CONCURRENCY:
        zarr.config.set({"async.concurrency": CONCURRENCY})
    return ObjectStore(connect(url, patient=patient), read_only=read_only)


def fetch(url: str, *, patient: bool = False) -> bytes | None:
    """The object at `url`; None where there is none."""
    folder, _, name = url.rpartition("/")
    try:
        return bytes(obstore.get(connect(folder, patient=patient), name).bytes())
    except FileNotFoundError:
        return None


def upload(source: Path | bytes, url: str) -> None:
    """Put a local file, or bytes, at `url`. It appears there whole or not at all."""
    folder, _, name = url.rpartition("/")
    obstore.put(connect(folder), name, source)


Version = dict[str, str]
"""What tells one content of an object from another (ETag, generation); empty for an object that is not there."""


def fetch_version(url: str) -> tuple[bytes | None, Version]:
    """The object at `url` and its version; None and an empty one where there is none."""
    folder, _, name = url.rpartition("/")
    try:
        found = obstore.get(connect(folder), name)
    except FileNotFoundError:
        return None, {}
    known = {key: found.meta.get(key) for key in ("e_tag", "version")}
    return bytes(found.bytes()), {key: str(value) for key, value in known.items() if value}


def upload_if(content: bytes, url: str, version: Version) -> bool:
    """Put `content` at `url` if what is there still has `version`. False where somebody else was first.

    InputError for a server that cannot write on a condition.
    """
    folder, _, name = url.rpartition("/")
    mode: Any = version or "create"
    try:
        obstore.put(connect(folder), name, content, mode=mode)
    except (AlreadyExistsError, PreconditionError):
        return False
    except (NotSupportedError, NotImplementedError) as error:
        raise InputError(
            f"the server of {without_credentials(url)} cannot write on a condition (If-Match), which keeps runs that "
            "finish at the same time from losing each other's labels; use a server that can"
        ) from error
    return True


def modified(url: str) -> datetime | None:
    """When the object at `url` was written, by the server's clock; None where there is none."""
    folder, _, name = url.rpartition("/")
    try:
        return obstore.head(connect(folder), name)["last_modified"]
    except FileNotFoundError:
        return None


def remove_object(url: str) -> None:
    """Delete the object at `url`, if it is there."""
    folder, _, name = url.rpartition("/")
    with suppress(FileNotFoundError):
        obstore.delete(connect(folder), name)


def keys_below(url: str, *, patient: bool = True) -> list[str]:
    """The names of all objects below `url`, relative to it. As many as there are chunks or shards."""
    pages = connect(url, patient=patient).list(chunk_size=1000)
    return [item["path"] for page in pages for item in page]


def anything_below(url: str, *, but: str = "") -> bool:
    """Whether there is any object below `url`, other than those whose names match the pattern `but`."""
    pages = connect(url, patient=False).list(chunk_size=10 if but else 1)
    return any(not but or not re.fullmatch(but, item["path"]) for page in pages for item in page)


def remove_below(url: str, *, keep: tuple[str, ...] = ()) -> None:
    """Delete all objects below `url`, but those whose names begin with one of `keep`."""
    gone = [key for key in keys_below(url) if not key.startswith(keep)] if keep else keys_below(url)
    store = connect(url)
    for start in range(0, len(gone), 1000):  # as many as S3 deletes in one request
        obstore.delete(store, gone[start : start + 1000])


def is_remote_error(error: BaseException | None) -> bool:
    """Whether `error` came from a server or the way to it, not from what is stored there."""
    if isinstance(
        error, FileNotFoundError | PermissionError | NotImplementedError | ValueError
    ):  # raised by obstore too
        return "Error performing" in str(error)
    return error is not None and type(error).__module__.partition(".")[0] == "obstore"


def is_bucket_missing(error: BaseException) -> bool:
    """Whether S3 says that there is no such bucket, for which obstore has no error of its own."""
    return _code(error) == "NoSuchBucket"


def _code(error: BaseException) -> str:
    """The code in the answer of an S3, "" for none."""
    text = str(error).partition("Debug source")[0]
    return next(iter(re.findall(r"<Code>(\w{1,60})</Code>", text)), "")


def explain(error: BaseException) -> str:
    """What a server's refusal means, in a few words. Its own are not quoted: they may repeat the key's name."""
    text = str(error).partition("Debug source")[0]
    code = _code(error)
    status = next(iter(re.findall(r"status code: (\d{3})", text)), "")
    if status in ("401", "403") or type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
        return f"access is refused{_told(code)}; check the key and its rights"
    if is_bucket_missing(error):
        return "there is no such bucket; check the address"
    if code or status:
        return f"the server refused{_told(' '.join(filter(None, (status, code))))}"
    if "TimedOut" in str(error) or "timed out" in str(error):
        return "the server did not answer in time; check the network"
    if "error sending request" in text:
        return "the server cannot be reached; check the address and the network"
    return f"the store failed ({type(error).__name__})"


def _told(code: str) -> str:
    return f" ({code})" if code else ""
