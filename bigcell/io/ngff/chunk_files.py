"""Files of chunks as a store tells of them, without reading them: on disks, in object stores, on web servers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from bigcell.core.errors import ChunkError
from bigcell.io.stores.urls import is_url, without_credentials
from bigcell.io.stores.zip_store import ReadZip, split_zip, zip_store

EDGE = 2**16
"""Bytes at either end of a file that its checksum is of."""
AT_ONCE = 16
"""Files of a disk that are asked for at a time: each may wait for a file server."""


@dataclass(frozen=True)
class Look:
    """What a store tells of one file: its size in bytes, and its modification time in ns or its ETag."""

    size: int
    stamp: str


UNTOLD = Look(-1, "")
"""Of a file of which a store refuses to tell."""


class ChunkFiles(Protocol):
    """The files of one store; names are relative to it."""

    @property
    def at_once(self) -> int:
        """Files that are asked for at a time."""
        ...

    def look(self, name: str) -> Look | None:
        """What is told of a file; None where there is none."""
        ...

    def ends(self, name: str, size: int) -> bytes | None:
        """The first and the last `EDGE` bytes of a file; all of a smaller one; None where they cannot be had."""
        ...


def chunk_files(source: str, *, patient: bool = False) -> ChunkFiles:
    """The files of the store at `source`. `patient`: as for `bigcell.io.stores.location.open_store`."""
    if zipped := split_zip(source):
        return _Zipped(zip_store(zipped[0], patient=patient), zipped[1])
    if not is_url(source):
        return _Disk(Path(source))
    from bigcell.io.stores.remote import CONCURRENCY, connect

    return _Far(connect(source, patient=patient), without_credentials(source), CONCURRENCY)


def look_at(files: ChunkFiles, names: Sequence[str]) -> dict[str, Look | None]:
    """What is told of each of the files."""
    with ThreadPoolExecutor(files.at_once) as pool:
        return dict(zip(names, pool.map(files.look, names), strict=True))


def checksums(files: ChunkFiles, sizes: Iterable[tuple[str, int]]) -> dict[str, str]:
    """SHA-256 of both ends of files of known sizes, in bytes; those whose bytes cannot be had are left out."""
    known = list(sizes)
    with ThreadPoolExecutor(files.at_once) as pool:
        ends = pool.map(lambda about: files.ends(*about), known)
        return {name: sha256(held).hexdigest() for (name, _), held in zip(known, ends, strict=True) if held is not None}


@dataclass(frozen=True)
class _Disk:
    folder: Path
    at_once: int = AT_ONCE

    def look(self, name: str) -> Look | None:
        try:
            found = os.stat(self.folder / name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError:
            return UNTOLD
        return Look(found.st_size, str(found.st_mtime_ns))

    def ends(self, name: str, size: int) -> bytes | None:
        try:
            with (self.folder / name).open("rb") as file:
                first = file.read(2 * EDGE if size <= 2 * EDGE else EDGE)
                if size > 2 * EDGE:
                    file.seek(-EDGE, os.SEEK_END)
                return first + (file.read(EDGE) if size > 2 * EDGE else b"")
        except OSError:
            return None


@dataclass(frozen=True)
class _Zipped:
    """A zip knows a checksum of all that is in each file."""

    store: ReadZip
    below: str
    at_once: int = 1

    def look(self, name: str) -> Look | None:
        entry = self.store.entry(self._key(name))
        return None if entry is None else Look(entry.file_size, f"crc32 {entry.CRC:08x}")

    def ends(self, name: str, size: int) -> bytes | None:
        return self.store.ends(self._key(name), EDGE) if self.store.entry(self._key(name)) else None

    def _key(self, name: str) -> str:
        return f"{self.below}/{name}" if self.below else name


@dataclass(frozen=True)
class _Far:
    store: Any  # one of obstore's
    shown: str
    at_once: int

    def look(self, name: str) -> Look | None:
        import obstore

        try:
            found = obstore.head(self.store, name)
        except FileNotFoundError as error:
            # A server that answers no HEAD (405) is told as one that has no such file: then nothing is known of it.
            return UNTOLD if "405" in str(error) else None
        except Exception as error:  # each server has errors of its own
            return self._refused(error)
        return Look(found["size"], found["e_tag"] or found["last_modified"].isoformat())

    def ends(self, name: str, size: int) -> bytes | None:
        import obstore

        try:
            if size <= 2 * EDGE:
                return bytes(obstore.get(self.store, name).bytes())
            return b"".join(
                map(bytes, obstore.get_ranges(self.store, name, starts=[0, size - EDGE], lengths=[EDGE] * 2))
            )
        except Exception:  # no such file by now, or a server that gives no ranges
            return None

    def _refused(self, error: Exception) -> Look:
        from bigcell.io.stores.remote import explain

        if type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError", "NotSupportedError"):
            return UNTOLD
        raise ChunkError(
            f"the chunks of {self.shown} cannot be looked at: {explain(error)}; once they can, `bigcell resume` goes on"
        ) from error
