"""The address of a scheduler that somebody else started: what it must look like, and what it takes to reach it."""

from __future__ import annotations

import logging
import re
from urllib.parse import urlsplit

from bigcell.core.errors import SettingsError
from bigcell.io.stores.urls import without_credentials

CERTIFICATES = "distributed.comm.tls.ca-file, distributed.comm.tls.client.cert and distributed.comm.tls.client.key"

log = logging.getLogger(__name__)


def check_address(address: str) -> None:
    """Refuse what no scheduler listens at, and ``tls://`` where dask's own settings name no certificates.

    >>> check_address("tcp://10.0.0.7:8786")
    """
    if not re.fullmatch(r"(tcp|tls)://[^\s/@]+", address) or not _port(address):
        said = without_credentials(address)
        raise SettingsError(f"{said!r} is no scheduler's address: wanted tcp://host:port or tls://host:port")
    if address.startswith("tls:"):
        _check_certificates(address)


def warn_if_open(address: str) -> None:
    """Tell what a scheduler without certificates means."""
    if not address.startswith("tls:"):
        log.warning(
            "%s asks for no certificate: whoever reaches it or its workers can run code as their owner; start it with "
            "dask's TLS settings and give its tls:// address",
            address,
        )


def _port(address: str) -> int:
    """The port of `address`; 0 if it has none."""
    try:
        return urlsplit(address).port or 0
    except ValueError:
        return 0


def _check_certificates(address: str) -> None:
    from distributed.security import Security

    try:
        known = Security().get_connection_args("client")["ssl_context"]
    except (OSError, ValueError) as error:  # no such file, or none that holds what it should
        raise SettingsError(f"{address}: the certificates of dask's settings cannot be used: {error}") from error
    if known is None:
        raise SettingsError(f"{address} asks for a certificate: set {CERTIFICATES} in dask's settings")
