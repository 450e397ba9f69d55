"""Targets of training at rest: a hidden zarr beside the labels that they were made of, a chunk a tile of a plane.

They are found under a fingerprint of the labels, so those of labels that have changed since are never read, and go. A
chunk is written whole, under its name only when it is, and follows from the labels alone: processes may write the same.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec
from zarr.errors import ContainsArrayError
from zarr.storage import LocalStore

from bigcell.core.box import Box
from bigcell.core.errors import OutputError
from bigcell.core.volume import Array
from bigcell.io.ngff.missing_chunks import OURS

VERSION = 1
"""Of what is kept: counted up when the same labels give other words."""


@dataclass(frozen=True)
class KeptTargets:
    """Packed words (uint64; 0: not made) of the views of annotated boxes, in `folder`. Picklable."""

    folder: str

    def read(self, place: tuple[int, int], index: int, tile: Box) -> Array | None:
        """The words of `tile` of plane `index` of view `place` (box, axis); None where they have not been made."""
        array = _opened(str(self._path(place)))
        if array is None:
            return None
        words = np.asarray(array[_at(index, tile)])
        return words if words.all() else None

    def write(
        self,
        place: tuple[int, int],
        shape: tuple[int, int, int],
        side: tuple[int, int],
        index: int,
        tile: Box,
        words: Array,
    ) -> None:
        """Keep the `words` of a tile of a view of `shape` (planes, rows, columns), in tiles of `side`."""
        try:
            array = _opened(str(self._path(place)))
            if array is None:
                array = self._made(place, shape, side)
            array[_at(index, tile)] = words
        except OSError as error:
            raise OutputError(
                f"{self.folder} cannot be written ({error}); is the disk full? Train without kept targets"
            ) from error

    def _path(self, place: tuple[int, int]) -> Path:
        return Path(self.folder) / "zyx"[place[1]] / str(place[0])

    def _made(self, place: tuple[int, int], shape: tuple[int, int, int], side: tuple[int, int]) -> zarr.Array[Any]:
        path = self._path(place)
        path.mkdir(parents=True, exist_ok=True)
        with suppress(ContainsArrayError):  # another process was first
            zarr.create_array(
                LocalStore(path),
                shape=shape,
                chunks=(1, *side),
                dtype=np.uint64,
                compressors=ZstdCodec(level=1),
                fill_value=0,
                zarr_format=3,
            )
        array = _opened(str(path))
        assert array is not None
        return array


def kept_beside(labels: str | Path, about: str) -> KeptTargets | None:
    """Where targets of the `labels` on this machine are kept, for boxes and voxels that `about` describes.

    None where there is no room beside them: they are elsewhere, or their folder is read-only. What was kept of labels
    that have changed since is removed.
    """
    path = Path(labels)
    if not path.exists() or not os.access(path.parent, os.W_OK | os.X_OK):
        return None
    home = path.with_name(f".{path.name}.targets")
    current = home / contents_digest(path)
    for old in home.iterdir() if home.is_dir() else ():
        if old != current:
            shutil.rmtree(old, ignore_errors=True)
    return KeptTargets(str(current / blake2b(about.encode(), digest_size=8).hexdigest()))


def contents_digest(path: Path) -> str:
    """A digest of the files at `path`: their names, sizes and times of writing, not their bytes."""
    seen = blake2b(str(VERSION).encode(), digest_size=12)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        stat = file.stat()
        seen.update(f"{file.relative_to(path.parent)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def _at(index: int, tile: Box) -> tuple[int | slice, ...]:
    return (index, *tile.slices)


@lru_cache(maxsize=64)
def _found(path: str) -> zarr.Array[Any]:
    return zarr.open_array(LocalStore(path), mode="r+", config=OURS)


def _opened(path: str) -> zarr.Array[Any] | None:
    """The array at `path`, None where there is none yet."""
    return _found(path) if Path(path, "zarr.json").exists() else None
