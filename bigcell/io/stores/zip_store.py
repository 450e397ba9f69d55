"""OME-Zarr in one file, a zip (``.ozx``), read where it lies: on a disk, or elsewhere in ranges of bytes.

What names a place in a store names one in a zip too: ``a.ozx`` is its root, ``a.ozx/labels/cells`` a group below it. An
archive is only ever looked into, never unpacked. Sources: RFC-9 of OME-NGFF; PKWARE's APPNOTE by way of `zipfile`.
"""

from __future__ import annotations

import io
import os
import threading
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import ZipStore

from bigcell.core.errors import InputError
from bigcell.io.stores.urls import is_url, without_credentials

ENDINGS = (".ozx", ".zip")
"""How the names of zipped stores end."""
DOCUMENTS = ("zarr.json", ".zgroup", ".zarray", ".zattrs", ".zmetadata")
LARGEST_DOCUMENT = 64 * 2**20
"""Bytes of a document of metadata; more is a bomb."""
LARGEST_FILE = 2**36
"""Bytes of any other file, which a compressed entry can claim without having them."""


def split_zip(source: str) -> tuple[str, str] | None:
    """The archive that a path or a URL leads into, and the path inside; None where it leads into none.

    >>> split_zip("https://host/a.ozx/labels/cells"), split_zip("a.zarr")
    (('https://host/a.ozx', 'labels/cells'), None)
    """
    if not any(ending in source.lower() for ending in ENDINGS):
        return None
    far = is_url(source)
    parts = source.split("/")
    for k in range(4 if far else 1, len(parts) + 1):
        archive = "/".join(parts[:k])
        if parts[k - 1].lower().endswith(ENDINGS) and (far or Path(archive).is_file()):
            return archive, "/".join(parts[k:])
    return None


def bytes_in_zip(archive: str, inside: str, *, patient: bool = False) -> bytes | None:
    """A file in a zip; None where there is none, or no such archive."""
    try:
        store = zip_store(archive, patient=patient)
    except FileNotFoundError:
        return None
    return store.whole(inside) if store.entry(inside) else None


def is_group_in_zip(archive: str, inside: str) -> bool:
    """Whether a zarr group stands at `inside`; False where there is no such archive."""
    try:
        store = zip_store(archive, patient=False)
    except FileNotFoundError:
        return False
    below = f"{inside}/" if inside else ""
    return any(store.entry(f"{below}{name}") for name in ("zarr.json", ".zgroup"))


def zip_store(archive: str, *, patient: bool = True) -> ReadZip:
    """The store in a zip, a path or a URL; InputError for one that cannot be read."""
    try:
        return _opened(archive, _stamp(archive), patient)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise InputError(
            f"{without_credentials(archive)} cannot be read as a zip ({str(error)[:200]}); make it again with "
            "`bigcell convert`"
        ) from error


class ReadZip(ZipStore):
    """A zip as a store that is read, on a disk or elsewhere. Entries may lie in any order, and be compressed."""

    def __init__(self, archive: str, *, patient: bool = True) -> None:
        super().__init__(Path(archive.rpartition("/")[2]), mode="r")
        self.archive, self.patient = archive, patient

    def _sync_open(self) -> None:
        self._lock = threading.RLock()
        self._zf = zipfile.ZipFile(_file(self.archive, patient=self.patient))
        self._is_open = True

    def _get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        if not self._is_open:
            self._sync_open()
        entry = self.entry(key)
        if entry is not None:
            _checked(entry, self.archive)
        return super()._get(key, prototype, byte_range)

    def entry(self, key: str) -> zipfile.ZipInfo | None:
        """What the archive tells of a file in it; None where there is none."""
        if not self._is_open:
            self._sync_open()
        try:
            return self._zf.getinfo(key)
        except KeyError:
            return None

    def whole(self, key: str) -> bytes:
        """All of a file."""
        with self._lock:
            return self._zf.read(_checked(self._zf.getinfo(key), self.archive))

    def open_file(self, key: str) -> IO[bytes] | None:
        """A file, opened; None where there is none."""
        entry = self.entry(key)
        return self._zf.open(_checked(entry, self.archive)) if entry is not None and not entry.is_dir() else None

    def folders(self) -> list[str]:
        """Folders at the root that are zarr groups."""
        tops = dict.fromkeys(name.partition("/")[0] for name in self._zf.namelist())
        return [top for top in tops if is_group_in_zip(self.archive, top)]

    def ends(self, key: str, edge: int) -> bytes:
        """The first and the last `edge` bytes of a file; all of a smaller one."""
        with self._lock, self._zf.open(key) as file:
            size = self._zf.getinfo(key).file_size
            first = file.read(2 * edge if size <= 2 * edge else edge)
            if size <= 2 * edge:
                return first
            file.seek(-edge, os.SEEK_END)
            return first + file.read(edge)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReadZip) and other.archive == self.archive

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"zip://{without_credentials(self.archive)}"


def _checked(entry: zipfile.ZipInfo, archive: str) -> zipfile.ZipInfo:
    document = entry.filename.rpartition("/")[2] in DOCUMENTS
    if entry.file_size > (LARGEST_DOCUMENT if document else LARGEST_FILE):
        raise InputError(
            f"{entry.filename} in {without_credentials(archive)} has {entry.file_size} bytes, more than any file of an "
            "image; do not trust it"
        )
    if entry.flag_bits & 1:
        raise InputError(
            f"{without_credentials(archive)} is encrypted, wanted a plain zip; make it again without a password"
        )
    return entry


@lru_cache(maxsize=8)
def _opened(archive: str, stamp: str, patient: bool) -> ReadZip:
    """One open archive a process: reading its directory costs a moment. `stamp` is in the key, so that a new file of
    that name is opened anew."""
    store = ReadZip(archive, patient=patient)
    store._sync_open()
    return store


def _stamp(archive: str) -> str:
    if is_url(archive):
        from bigcell.io.stores.remote import modified

        return str(modified(archive))
    found = Path(archive).stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def _file(archive: str, *, patient: bool) -> Any:
    """The archive as an open file, whose parts are asked for when they are read."""
    if not is_url(archive):
        return archive
    import obstore

    from bigcell.io.stores.remote import connect

    folder, _, name = archive.rpartition("/")
    return io.BufferedReader(_Raw(obstore.open_reader(connect(folder, patient=patient), name)))


class _Raw(io.RawIOBase):
    """A file of obstore's as Python's own are, which `zipfile` wants."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._reader.seek(offset, whence))

    def tell(self) -> int:
        return int(self._reader.tell())

    def readinto(self, buffer: Any) -> int:
        held = bytes(self._reader.read(len(buffer)))
        buffer[: len(held)] = held
        return len(held)
