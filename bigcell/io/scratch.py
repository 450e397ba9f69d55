"""Scratch: what the steps of a run leave for each other. On disk for large volumes, in memory for small ones.

Every entry is written whole by one task under a name of its own and appears at once or not at all, so a task may run
twice, and a reader never sees half of one.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from bigcell.core.box import Box
from bigcell.core.errors import OutputError
from bigcell.core.volume import Array

_CHUNK = 64


class Scratch(Protocol):
    """Named entries: groups of small arrays, dense arrays that are read box by box, and JSON notes."""

    def save(self, name: str, arrays: Mapping[str, Array]) -> None: ...
    def load(self, name: str) -> dict[str, Array]: ...
    def save_dense(self, name: str, array: Array) -> None: ...
    def load_dense(self, name: str, box: Box) -> Array: ...
    def write_note(self, name: str, note: Mapping[str, Any]) -> None: ...
    def notes(self, folder: str) -> Iterator[tuple[str, dict[str, Any]]]: ...


@dataclass
class MemoryScratch:
    """Scratch for one process and a volume that fits in memory."""

    entries: dict[str, Any] = field(default_factory=dict)

    def save(self, name: str, arrays: Mapping[str, Array]) -> None:
        self.entries[name] = dict(arrays)

    def load(self, name: str) -> dict[str, Array]:
        return dict(self.entries[name])

    def save_dense(self, name: str, array: Array) -> None:
        self.entries[name] = array

    def load_dense(self, name: str, box: Box) -> Array:
        array: Array = self.entries[name]
        return array[(slice(None),) * (array.ndim - 3) + box.slices]

    def write_note(self, name: str, note: Mapping[str, Any]) -> None:
        self.entries[name] = json.loads(json.dumps(note))

    def notes(self, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, note in list(self.entries.items()):
            if name.startswith(f"{folder}/"):
                yield name.removeprefix(f"{folder}/"), note


@dataclass(frozen=True)
class DiskScratch:
    """Scratch in a folder of the local file system."""

    folder: Path

    def save(self, name: str, arrays: Mapping[str, Array]) -> None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **dict(arrays))
        self._place(f"{name}.npz", buffer.getvalue())

    def load(self, name: str) -> dict[str, Array]:
        with np.load(self.folder / f"{name}.npz", allow_pickle=False) as file:
            return {k: file[k] for k in file.files}

    def save_dense(self, name: str, array: Array) -> None:
        shard = tuple([1] * (array.ndim - 3) + [-(-n // _CHUNK) * _CHUNK for n in array.shape[-3:]])
        with _refusals(self.folder):
            target = zarr.create_array(
                store=self.folder / f"{name}.zarr",
                shape=array.shape,
                dtype=array.dtype,
                chunks=(1,) * (array.ndim - 3) + (_CHUNK,) * 3,
                shards=shard,
                compressors=BloscCodec(
                    cname="zstd", clevel=1, shuffle="shuffle" if array.dtype.itemsize == 2 else "noshuffle",
                    typesize=array.dtype.itemsize,
                ),
                overwrite=True,
            )  # fmt: skip
            target[...] = array

    def load_dense(self, name: str, box: Box) -> Array:
        source = _open(str(self.folder / f"{name}.zarr"))
        values = source[(slice(None),) * (source.ndim - 3) + box.slices]
        return np.asarray(values)

    def write_note(self, name: str, note: Mapping[str, Any]) -> None:
        self._place(f"{name}.json", json.dumps(note).encode())

    def notes(self, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
        place = self.folder / folder
        for path in sorted(place.glob("*.json")) if place.is_dir() else ():
            yield path.stem, json.loads(path.read_text())

    def remove(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _place(self, name: str, content: bytes) -> None:
        path = self.folder / name
        with _refusals(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            try:
                fresh.write_bytes(content)
                os.replace(fresh, path)
            except OSError:
                fresh.unlink(missing_ok=True)
                raise


@lru_cache(maxsize=128)
def _open(path: str) -> zarr.Array[Any]:
    return zarr.open_array(path, mode="r")


class _refusals:  # noqa: N801 - used as a statement
    """Turns the file system's refusal to write into one sentence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, OutputError):
            raise OutputError(
                f"cannot write to {self.folder}: {error.strerror or error}; make room or permission there, "
                "then continue with `bigcell resume`"
            ) from error
