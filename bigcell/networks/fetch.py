"""Downloads of published models: resumed where they stopped, checked, whole or not at all. Only this downloads."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from ssl import SSLError
from typing import IO, Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from bigcell.core.documents import read_object
from bigcell.core.errors import ModelError, OutputError
from bigcell.core.retry import Retries
from bigcell.networks.cache import cache_folder, check_sha256, locate, record, sha256_of
from bigcell.networks.catalogue import Entry, RemoteFile
from bigcell.networks.checkpoint import read_checkpoint
from bigcell.networks.size import read_size_model

CHUNK, TIMEOUT, TRIES = 1 << 20, 30.0, 4
LIMIT = 8 << 30  # bytes; no model has as many
SLOWEST, PATIENCE = 1000, 60.0
"""Bytes a second, after so many seconds of a connection, with less than which it is given up."""
Report = Callable[[str, int, int], None]
"""Told of a file's name, the bytes that are here, and the bytes it has (0: not known)."""


def is_offline() -> bool:
    """Whether $BIGCELL_OFFLINE says that the network must not be touched."""
    return os.environ.get("BIGCELL_OFFLINE", "") not in ("", "0")


def fetch(entry: Entry, *, offline: bool = False, report: Report | None = None, pause: float = 1.0) -> list[Path]:
    """All files of a published model, downloaded where they are not on this machine yet; each is checked.

    A download that breaks off goes on where it was, now (`TRIES` times, after `pause` seconds and twice that and so on)
    or at the next call. Raises ModelError where a file cannot be had or is not what it should be, OutputError where
    there is no room for it.
    """
    paths = []
    for file in entry.files:
        path = locate(file)
        if path is not None:
            check_sha256(file, path, sha256_of(path))
        elif offline or is_offline():
            raise ModelError(
                f"{file.name} of model {entry.name!r} is not in {cache_folder()}, and bigcell is offline (--offline or "
                f"BIGCELL_OFFLINE): bring {file.url} there by other means"
            )
        else:
            path = _Download(file, cache_folder() / file.name, report or (lambda *_: None), pause).run()
        paths.append(path)
    return paths


@dataclass(frozen=True)
class _Download:
    """One file on its way to `path`; ``.partial`` until it is whole and checked, with what the server calls it."""

    file: RemoteFile
    path: Path
    report: Report
    pause: float

    @property
    def partial(self) -> Path:
        return self.path.with_name(self.path.name + ".partial")

    @property
    def tag(self) -> Path:
        return self.path.with_name(self.path.name + ".partial.json")

    def run(self) -> Path:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(self.path.name + ".lock"), timeout=0):
                self._bring()
                self._accept()
        except Timeout as error:
            raise ModelError(f"{self.path} is being fetched by another process; wait for that one") from error
        except (OSError, shutil.Error) as error:
            if isinstance(error, OutputError):
                raise
            full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None))
            why = "the disk is full; make room and fetch again: it goes on where it was" if full else str(error)
            raise OutputError(f"{self.path} cannot be written: {why}") from error
        return self.path

    def _bring(self) -> None:
        """The bytes, in as many tries as it takes; a try that brought enough for its time does not count."""
        error: Exception | None = None
        retries, most = Retries(TRIES, 2 * self.pause), self._have()
        while True:
            begun = time.monotonic()
            try:
                if self._receive():
                    return
                error = None
            except urllib.error.HTTPError as refused:
                if refused.code < 500 and refused.code not in (408, 416, 429):
                    raise ModelError(
                        f"{self.file.url} cannot be fetched: the server says {_said(refused)}"
                    ) from refused
                error = refused
            except _UnfitError as refused:
                self._forget()
                raise ModelError(str(refused)) from refused
            except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, SSLError) as broken:
                error = broken
            enough = most + SLOWEST * (time.monotonic() - begun)
            progress, most = self._have() > enough, max(most, self._have())
            if not retries.again(progress=progress):
                break
        raise ModelError(
            f"{self.file.url} cannot be fetched ({_said(error)}): {self._have()} bytes are "
            "here, and the next fetch goes on from there. Is there a network? Without one bring the file to "
            f"{self.path.parent} by other means"
        ) from error

    def _forget(self) -> None:
        """Away with what came from a server whose answer is not the file: nobody could go on from there."""
        self.partial.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)

    def _have(self) -> int:
        return self.partial.stat().st_size if self.partial.is_file() else 0

    def _receive(self) -> bool:
        """Go on with the file for as long as the connection lasts; whether it is whole."""
        have, known = self._have(), self._known()
        headers = {"User-Agent": "bigcell", "Accept-Encoding": "identity"}
        if have and known:
            headers |= {"Range": f"bytes={have}-", "If-Range": known}
        try:
            response = _open(urllib.request.Request(self.file.url, headers=headers))
        except urllib.error.HTTPError as refused:
            if refused.code != 416:
                raise
            if have and refused.headers.get("Content-Range") == f"bytes */{have}":
                return True  # nothing was left to send
            self.partial.unlink(missing_ok=True)
            raise
        with response:
            start, total = _span(response, have)
            self._check_size(total, total - start)
            self._remember(response.headers)
            with self.partial.open("r+b" if start else "wb") as out:
                out.seek(start)
                out.truncate()
                self._copy(response, out, start, total)
        return self._have() == total if total else self._have() > 0

    def _copy(self, response: HTTPResponse, out: IO[bytes], done: int, total: int) -> None:
        begun, before, most = time.monotonic(), done, total or self.file.size or LIMIT
        while data := response.read1(CHUNK):
            done += len(data)
            if done > most:
                raise _UnfitError(f"{self.file.url} sends more than the {most} bytes that it has: not fetched")
            out.write(data)
            self.report(self.file.name, done, total)
            seconds = time.monotonic() - begun
            if seconds > PATIENCE and done - before < SLOWEST * seconds:
                raise ModelError(
                    f"{self.file.url} comes with fewer than {SLOWEST} bytes a second: {done} bytes are here, and the "
                    "next fetch goes on from there"
                )

    def _check_size(self, total: int, left: int) -> None:
        if self.file.size and total not in (0, self.file.size):
            raise _UnfitError(
                f"{self.file.url} has {total} bytes, {self.file.size} are published: it is another file now"
            )
        if total > LIMIT:
            raise _UnfitError(f"{self.file.url} has {total} bytes; no model has as many")
        free = shutil.disk_usage(self.path.parent).free
        if left > free:
            raise OutputError(f"{self.path.parent} has room for {free} bytes, {self.file.name} needs {left}: make room")

    def _known(self) -> str:
        """What the server called the file of which we have a part, or ""."""
        try:
            found = read_object(self.tag)
        except (OSError, ValueError):
            return ""
        same = found.get("url") == self.file.url
        return str(found.get("tag", "")) if same else ""

    def _remember(self, headers: Message) -> None:
        tag = headers.get("ETag") or ""
        name = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified") or ""
        self.tag.write_text(json.dumps({"url": self.file.url, "tag": name}), "utf-8")

    def _accept(self) -> None:
        """Give the whole file its name if it is what it should be; else away with it."""
        found = sha256_of(self.partial)
        try:
            if self.file.sha256 and found != self.file.sha256:
                raise ModelError(
                    f"{self.file.url} has SHA-256 {found[:12]}, {self.file.sha256[:12]} is published: the download is "
                    "damaged, or the file has been replaced. Fetch it again; if it stays so, tell us"
                )
            check_sha256(self.file, self.path, found)
            (read_size_model if self.file.name.endswith(".npy") else read_checkpoint)(self.partial)
        except ModelError:
            self.partial.unlink()
            raise
        finally:
            self.tag.unlink(missing_ok=True)
        with self.partial.open("rb") as file:
            os.fsync(file.fileno())
        record(self.path).write_text(f"{found}  {self.path.name}\n", "ascii")
        self.partial.replace(self.path)


def _span(response: HTTPResponse, have: int) -> tuple[int, int]:
    """Where the bytes begin that the server sends, and how many the whole file has (0: it does not say)."""
    if response.status != 206:
        return 0, _length(response)
    found = response.headers.get("Content-Range") or ""
    match = re.fullmatch(r"bytes ([0-9]{1,19})-[0-9]{1,19}/([0-9]{1,19})", found)
    if not match or int(match[1]) != have:
        raise _UnfitError(f"{_shown(response.url)} was asked for the bytes from {have} on and sends {found[:80]!r}")
    return have, int(match[2])


def _length(response: HTTPResponse) -> int:
    """The bytes that the server says it sends; 0 if it says nothing."""
    said = response.headers.get("Content-Length") or "0"
    if not re.fullmatch(r"[0-9]{1,19}", said):
        raise _UnfitError(f"{_shown(response.url)} says that it has {said[:80]!r} bytes, which is no number of them")
    return int(said)


def _said(error: Exception | None) -> str:
    """Why a try failed, without what a server may put into it: keys, lines, thousands of letters."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP Error {error.code}"
    text = str(error) if error else "the connection ends early"
    return "".join(letter for letter in text if letter.isprintable())[:200]


def _shown(url: str) -> str:
    """`url` as it may be shown: where servers lead to, it often holds a key for a while.

    >>> _shown("https://me:secret@host/net?signature=1")
    'https://host/net'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class _UnfitError(ModelError):
    """What a server says cannot be the file, however often it is asked."""


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects that do not leave https, nor http for anything but that."""

    def http_error_302(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except BaseException:
            fp.close()  # it holds the connection
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        kinds = ("https",) if req.type == "https" else ("http", "https")
        if urlsplit(newurl).scheme not in kinds:
            raise ModelError(f"{_shown(req.full_url)} leads to {_shown(newurl)}, which is not secured; not fetched")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(request: urllib.request.Request) -> HTTPResponse:
    try:
        response: HTTPResponse = urllib.request.build_opener(_SafeRedirects).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as refused:
        refused.close()  # it holds the connection
        raise
    except ModelError:
        raise
    except ValueError as error:
        raise ModelError(f"{_shown(request.full_url)} leads to what is no address ({error}); not fetched") from error
    return response
