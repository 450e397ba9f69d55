"""A small http server that shows folders to a browser: read-only, byte ranges, behind a secret path, by our names.

The viewer's own static file server hashes a whole file before it answers for a part of it; a shard is a hundred
megabytes of which the browser wants one chunk, so here a range costs what the range holds.
"""

from __future__ import annotations

import re
import secrets
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from io import BufferedReader, BytesIO
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from types import TracebackType
from typing import IO
from urllib.parse import quote, unquote

from bigcell.core.errors import InputError
from bigcell.viewers.hosts import REFUSED, is_ours, names_of
from bigcell.viewers.served import Served, served

_DIGITS = 19
"""Of the largest size that a file can have. Python reads no number of thousands of digits."""
PIECE = 2**20
"""Bytes that are sent at a time of what the system cannot send by itself."""
_JSON = (".json", ".zattrs", ".zgroup", ".zarray", ".zmetadata")


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and stop of the bytes that an http Range header asks of a file of `size`; None if there are none.

    A header that is absent or not a single range asks for the whole file, as the standard allows.

    >>> byte_range("bytes=2-4", 10), byte_range("bytes=-3", 10), byte_range(None, 10), byte_range("bytes=10-", 10)
    ((2, 5), (7, 10), (0, 10), None)
    """
    match = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", (header or "").strip())
    if not match or not (match[1] or match[2]):
        return (0, size)
    if match[1]:
        start, stop = _number(match[1]), min(_number(match[2]) + 1 if match[2] else size, size)
    else:
        start, stop = max(0, size - _number(match[2])), size
    return (start, stop) if start < stop else None


def _number(digits: str) -> int:
    """What `digits` say; one beyond every file if it is."""
    known = digits.lstrip("0") or "0"
    return int(known) if len(known) <= _DIGITS else 10**_DIGITS


class FileServer:
    """Serves `folders` (name -> path, also into a zip) at ``url/NAME/…`` until closed.

    `documents` (name -> file in the folder -> content) are sent in place of what is stored there.
    Nothing outside a folder is ever sent. The path begins with a random word, so that another page open in the same
    browser cannot guess where the data are.

    >>> with FileServer({"here": Path(".")}) as server:
    ...     server.address("here").startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        *,
        documents: Mapping[str, Mapping[str, bytes]] | None = None,
        bind: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        roots = {name: served(path) for name, path in folders.items()}
        self.token = secrets.token_hex(20)
        known = {"roots": roots, "token": self.token, "documents": documents or {}, "names": names_of(bind)}
        handler = type("Handler", (_Handler,), known)
        try:
            self._server = _Server((bind, port), handler)
        except (OSError, OverflowError) as error:
            raise InputError(f"cannot serve at {bind}:{port} ({error}); choose another --port or --bind") from error
        self.bind, self.port = bind, int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def address(self, name: str, host: str | None = None) -> str:
        """The address of the folder `name`, with a slash at its end."""
        return f"http://{host or self.bind}:{self.port}/{self.token}/{quote(name)}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> FileServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Server(ThreadingMixIn, TCPServer):
    """A thread for every connection; unlike http.server's, it does not ask the name service who we are."""

    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a closed tab is not an error
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """GET, HEAD and OPTIONS for files under the roots; everything else is 404 or 501."""

    roots: Mapping[str, Served] = {}
    documents: Mapping[str, Mapping[str, bytes]] = {}
    token = ""
    names: frozenset[str] = frozenset()
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes; do not wait 40 ms between them

    def parse_request(self) -> bool:
        """Whether the request is to be answered: one that names another host is refused, whatever it asks for."""
        if not super().parse_request():
            return False
        if is_ours(self.headers.get_all("Host", []), self.names):
            return True
        self.close_connection = True
        self.send_response_only(REFUSED)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_OPTIONS(self) -> None:
        self._head(204, 0, {"Access-Control-Max-Age": "86400"})

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: a missing chunk is background, not news."""

    def _answer(self, *, body: bool) -> None:
        name, inside = self._asked()
        document = self.documents.get(name, {}).get(inside)
        try:
            found = BytesIO(document) if document is not None else self.roots[name].open(inside) if name else None
            if found is None:
                return self._head(404, 0)
            with found as stream:
                self._send(stream, inside, body=body)
        except ConnectionError:
            self.close_connection = True  # the browser turned away: it scrolls faster than chunks arrive
        except OSError:
            self._head(403, 0)

    def _send(self, stream: IO[bytes], inside: str, *, body: bool) -> None:
        """What is asked for of a file."""
        size = stream.seek(0, 2)
        part = byte_range(self.headers.get("Range"), size) if size else (0, 0)
        if part is None:
            return self._head(416, 0, {"Content-Range": f"bytes */{size}"})
        start, stop = part
        whole = stop - start == size
        extra = {} if whole else {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        kind = "application/json" if inside.endswith(_JSON) else "application/octet-stream"
        self._head(200 if whole else 206, stop - start, {"Content-Type": kind, **extra})
        if not body or stop == start:
            return None
        if isinstance(stream, BufferedReader):  # a file of its own, which the system sends by itself
            self.connection.sendfile(stream, start, stop - start)
            return None
        stream.seek(start)
        for left in range(stop - start, 0, -PIECE):
            self.wfile.write(stream.read(min(PIECE, left)))
        return None

    def _asked(self) -> tuple[str, str]:
        """The folder's name and the path in it that the request names; empty without the secret word."""
        token, _, rest = unquote(re.split("[?#]", self.path, maxsplit=1)[0]).lstrip("/").partition("/")
        name, _, inside = rest.partition("/")
        known = secrets.compare_digest(token.encode(), self.token.encode()) and name in self.roots
        return (name, inside.lstrip("/")) if known else ("", "")

    def _head(self, status: int, length: int, extra: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
        self.send_header("Access-Control-Allow-Headers", "*")
        self.send_header("Access-Control-Expose-Headers", "Accept-Ranges, Content-Length, Content-Range")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Length", str(length))
        for key, value in (extra or {}).items():
            self.send_header(key, value)
        self.end_headers()
