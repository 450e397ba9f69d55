"""The names by which a browser may ask for what this machine shows.

A page from elsewhere can lead a name of its own to this machine's address ("DNS rebinding"); the browser takes what is
served here for part of that page then. The name stands in the request: what is asked for by a foreign one is refused.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address

REFUSED = 421
"""Misdirected request: this server does not answer for that name."""
EVERYWHERE = ("", "0.0.0.0", "::")


def names_of(bind: str) -> frozenset[str]:
    """Names of a server that listens at `bind`: that, this machine's, and localhost."""
    own = socket.gethostname()
    whole = socket.getfqdn() if bind in EVERYWHERE else own  # asks the name service: only where others connect
    return frozenset(name.lower() for name in ("localhost", bind, own, own.partition(".")[0], whole) if name)


def is_ours(hosts: Sequence[str], names: frozenset[str]) -> bool:
    """Whether a request with the Host headers `hosts` is for one of `names`, or for an address, which cannot be led.

    >>> known = frozenset({"localhost"})
    >>> [is_ours([host], known) for host in ("localhost:80", "127.0.0.1:80", "[::1]:80", "page.example:80", "")]
    [True, True, True, False, False]
    """
    if len(hosts) != 1:
        return False
    host = hosts[0].strip().lower()
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name in names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        return bool(ip_address(name))
    except ValueError:
        return False
