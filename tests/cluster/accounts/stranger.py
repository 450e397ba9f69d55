"""Another account of the machine: ``stranger.py ORDER`` (as JSON) tries what the order names and tells what it got.

`ports`: of loopback. At each it asks dask's protocol to make a file in `plant`, in the clear, with a certificate of its
own and with none, and http for a page. `files`: those it can read are told.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import LocalCluster, connect
from distributed.protocol.pickle import dumps
from distributed.security import Security

NOBODY = 65534
PATIENCE = 1.5


def main() -> None:
    order = json.loads(sys.argv[1])
    ways = _ways()
    _practise(ways["tcp"])  # loads what a stranger could not
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    answers = {
        f"{port} {name}": _answer(port, name, how, order["plant"])
        for port in order["ports"]
        for name, how in ways.items()
    }
    pages = {str(port): _page(port) for port in order["ports"]}
    sys.stdout.write(
        json.dumps({"answers": answers, "pages": pages, "read": [f for f in order["files"] if _can_read(f)]})
    )


def _ways() -> dict[str, dict[str, Any]]:
    bare = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    bare.check_hostname, bare.verify_mode = False, ssl.CERT_NONE
    return {
        "tcp": {},
        "tls": Security.temporary().get_connection_args("client"),
        "tls without": {"ssl_context": bare, "require_encryption": True},
    }


def _practise(how: dict[str, Any]) -> None:
    """Against a scheduler in the clear, where it works."""
    with LocalCluster(n_workers=0, protocol="tcp", dashboard_address="127.0.0.1:0") as cluster:
        port = int(cluster.scheduler_address.rpartition(":")[2])
        assert _answer(port, "tcp", how, os.environ["STRANGER_PRACTICE"]), "it can run code where nothing hinders it"


def _answer(port: int, name: str, how: dict[str, Any], plant: str) -> str:
    """What a server of dask said, or "" for nothing."""
    said = ""
    with suppress(Exception):
        for operation in ("identity", "run", "run_function"):
            asked = _ask(f"{name[:3]}://127.0.0.1:{port}", operation, f"{plant}/{port}-{name}", how)
            said += asyncio.run(asyncio.wait_for(asked, PATIENCE))
    return said


async def _ask(address: str, operation: str, file: str, how: dict[str, Any]) -> str:
    comm = await connect(address, timeout=PATIENCE, **how)
    try:
        asked = {"function": dumps(os.mkdir), "args": dumps((file,))} if operation != "identity" else {}
        await comm.write({"op": operation, **asked})
        return str(await comm.read())[:200]
    except OSError:  # what it was asked it does not know
        return ""
    finally:
        comm.abort()


def _page(port: int) -> str:
    """The first line that comes back for a page, and the end of the answer."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=3) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return line.recv(4000).decode("latin-1")
    return ""


def _can_read(file: str) -> bool:
    try:
        with Path(file).open("rb") as stream:
            stream.read(1)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
