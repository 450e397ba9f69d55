"""Volumes of any size without a byte on disk: a zarr store that makes its chunks when they are read.

What is read goes the way of any OME-Zarr (metadata, chunk keys, decoding by zarr); only the bytes come from a function.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import zarr
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.storage import MemoryStore

from bigcell.core.axes import Spacing, Zyx
from bigcell.core.box import Box
from bigcell.core.volume import Array, check_inside
from bigcell.testing.flows import FlowLattice


class Source(Protocol):
    """What a virtual volume holds: the same voxels for the same box, however it is cut. Picklable."""

    @property
    def extent(self) -> Zyx: ...
    def read(self, box: Box) -> Array:
        """The voxels of `box`, ``(channel, z, y, x)``."""
        ...


@dataclass(frozen=True)
class LatticeImage:
    """Cells of a `FlowLattice` as a microscope would show them: bright in the middle, dark at their borders, uint16."""

    lattice: FlowLattice

    @property
    def extent(self) -> Zyx:
        return self.lattice.extent

    def read(self, box: Box) -> Array:
        """Counts of `box`: (1, *box) uint16."""
        logit = self.lattice.read(box)[3:]
        counts: Array = np.clip(300 + 80 * logit, 100, 1000).astype(np.uint16)
        return counts


class VirtualStore(Store):
    """A read-only zarr v3 store of an OME-Zarr 0.5 image with one level, whose chunks `source` makes on read.

    `chunk` (z, y, x) is the size of a chunk; it holds all channels. Nothing is kept: a chunk is made anew each time.
    """

    def __init__(self, source: Source, chunk: Zyx = (64, 64, 64)) -> None:
        super().__init__(read_only=True)
        self.source, self.chunk = source, chunk
        self._documents = _documents(source, chunk)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VirtualStore) and (self.source, self.chunk) == (other.source, other.chunk)

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """A metadata document, the bytes of a chunk, or None where there is none."""
        prototype = prototype or default_buffer_prototype()
        content = self._documents.get(key)
        if content is None:
            box = self._box(key)
            if box is None:
                return None
            content = await asyncio.to_thread(self._made, box)
        whole = await _in_memory(key, content)
        return await whole.get(key, prototype, byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        return key in self._documents or self._box(key) is not None

    async def set(self, key: str, value: Buffer) -> None:
        self._check_writable()

    async def delete(self, key: str) -> None:
        self._check_writable()

    async def list(self) -> AsyncIterator[str]:
        """The metadata only: chunks are there for the asking, and too many to be named."""
        for key in self._documents:
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        for key in self._documents:
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        start = f"{prefix.strip('/')}/".removeprefix("/")
        for name in sorted({k.removeprefix(start).split("/")[0] for k in self._documents if k.startswith(start)}):
            yield name

    def _box(self, key: str) -> Box | None:
        """The voxels of the chunk that `key` names, which may reach past the edge."""
        parts = key.split("/")
        if parts[:3] != ["0", "c", "0"] or len(parts) != 6 or not all(p.isdecimal() for p in parts[3:]):
            return None
        start = tuple(int(p) * n for p, n in zip(parts[3:], self.chunk, strict=True))
        if any(a >= n for a, n in zip(start, self.source.extent, strict=True)):
            return None
        return Box(start, tuple(a + n for a, n in zip(start, self.chunk, strict=True)))

    def _made(self, box: Box) -> bytes:
        inside = box & Box.of(self.source.extent)
        values = self.source.read(inside)
        fill = [(0, 0), *((0, n - m) for n, m in zip(box.shape, inside.shape, strict=True))]
        return np.pad(values, fill).astype(values.dtype.newbyteorder("<")).tobytes()


async def _in_memory(key: str, content: bytes) -> MemoryStore:
    return MemoryStore({key: default_buffer_prototype().buffer.from_bytes(content)})


def _documents(source: Source, chunk: Zyx) -> dict[str, bytes]:
    """The metadata of the image, as zarr itself writes it."""
    sample = source.read(Box((0, 0, 0), (1, 1, 1)))
    held: dict[str, Buffer] = {}
    axes = [{"name": "c", "type": "channel"}, *({"name": a, "type": "space", "unit": "micrometer"} for a in "zyx")]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 1.0, 1.0]}]}]
    ome = {"version": "0.5", "multiscales": [{"name": "virtual", "axes": axes, "datasets": datasets}]}
    root = zarr.create_group(MemoryStore(held), attributes={"ome": ome}, zarr_format=3)
    root.create_array(
        "0",
        shape=(len(sample), *source.extent),
        chunks=(len(sample), *chunk),
        dtype=sample.dtype,
        compressors=None,
        fill_value=0,
        dimension_names=list("czyx"),
    )
    return {key: value.to_bytes() for key, value in held.items()}


@dataclass(frozen=True)
class VirtualVolume:
    """The image of a `VirtualStore` as a volume that a job can carry to its workers; a store has no path to open it by.

    Parameters
    ----------
    source
        What makes the voxels of a box.
    chunk
        Voxels (z, y, x) of a chunk.
    spacing
        Size of a voxel.

    Examples
    --------
    >>> volume = VirtualVolume(FlowLattice((10_000, 10_000, 10_000)))
    >>> volume.read(Box((5000, 5000, 5000), (5001, 5002, 5003))).shape
    (4, 1, 2, 3)
    """

    source: Source
    chunk: Zyx = (64, 64, 64)
    spacing: Spacing = field(default_factory=Spacing)

    @property
    def extent(self) -> Zyx:
        return self.source.extent

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(str(i) for i in range(self._array.shape[0]))

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self._array.dtype)

    def read(self, box: Box) -> Array:
        """The voxels of `box`, ``(channel, z, y, x)``."""
        check_inside(box, self.extent)
        return np.asarray(self._array[(slice(None), *box.slices)])

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "chunk": self.chunk, "spacing": self.spacing}

    @cached_property
    def _array(self) -> zarr.Array[Any]:
        array = zarr.open_group(VirtualStore(self.source, self.chunk), mode="r")["0"]
        assert isinstance(array, zarr.Array)
        return array
