"""What the file server shows: folders, and zips as if they were folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from bigcell.core.errors import InputError
from bigcell.io.stores.zip_store import ReadZip, split_zip, zip_store


class Served(Protocol):
    """A tree of files."""

    def open(self, inside: str) -> IO[bytes] | None:
        """The file at `inside`, or None if there is none in it. OSError for one that cannot be read."""
        ...


def served(path: Path) -> Served:
    """The files at `path`, a folder or a place in a zip. InputError for anything else."""
    if zipped := split_zip(str(path)):
        return Zipped(zip_store(zipped[0]), zipped[1])
    if not path.is_dir():
        raise InputError(f"{path} is not a folder, so it cannot be served; give the path of a local OME-Zarr")
    return Folder(path.resolve())


@dataclass(frozen=True)
class Folder:
    """Nothing outside of `root` is ever opened, not through ``..`` and not through a link."""

    root: Path

    def open(self, inside: str) -> IO[bytes] | None:
        try:
            file = (self.root / inside).resolve()
            if not (file.is_relative_to(self.root) and file.is_file()):
                return None
        except (OSError, ValueError, RuntimeError):
            return None  # a name too long, a null byte, a circle of links
        return file.open("rb")


@dataclass(frozen=True)
class Zipped:
    store: ReadZip
    below: str

    def open(self, inside: str) -> IO[bytes] | None:
        return self.store.open_file(f"{self.below}/{inside}" if self.below else inside)
