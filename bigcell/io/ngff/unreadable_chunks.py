"""Chunks of an image that cannot be read: which they are, and what lies around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from bigcell.core.axes import ZYX
from bigcell.core.box import Box
from bigcell.core.errors import ChunkError
from bigcell.core.retry import Retries
from bigcell.core.volume import Array
from bigcell.io.ngff.image import ZarrVolume, fill_value
from bigcell.io.stores.urls import without_credentials

TRIES = 3
"""How often a chunk is tried before it counts as bad."""
WAIT = 0.25
"""Seconds before the second try, twice as long each time: what is out of reach may come back."""


@dataclass(frozen=True, order=True)
class BadChunk:
    """A chunk by its array and its place in the grid of chunks, in the order of the array's axes."""

    array: str
    chunk: tuple[int, ...]
    error: str

    def __str__(self) -> str:
        return f"chunk {self.chunk} of array {self.array!r}"


def read_around(volume: ZarrVolume, box: Box) -> tuple[Array, list[BadChunk]]:
    """The voxels of `box` (channel, z, y, x), chunk by chunk, and the chunks that could not be read in `TRIES` tries.

    Voxels of bad chunks are the array's fill value, as those of missing ones are (0 where that is no number).
    """
    values = np.full((len(volume.indices), *box.shape), fill_value(volume), volume.dtype)
    bad: dict[tuple[int, ...], BadChunk] = {}
    for piece in _pieces(volume, box):
        at = piece.relative_to(box).slices
        for i, index in enumerate(volume.indices):
            try:
                values[i][at] = _read(replace(volume, indices=(index,)), piece)[0]
            except ChunkError as error:
                place = _chunk(volume, index, piece)
                bad.setdefault(place, BadChunk(volume.info.levels[volume.level].path, place, _cause(error)))
    return values, sorted(bad.values())


def bad_chunk_error(volume: ZarrVolume, bad: list[BadChunk]) -> ChunkError:
    """What to say of bad chunks where none are allowed."""
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return ChunkError(
        f"{bad[0]} of {without_credentials(volume.info.source)} cannot be read{more}: {bad[0].error}; mend or fetch it "
        "anew, then `bigcell resume`, or start over with --on-bad-chunk fill to take it as empty"
    )


def _read(volume: ZarrVolume, box: Box) -> Array:
    retries = Retries(TRIES, WAIT)
    while True:
        try:
            return volume.read(box)
        except ChunkError:
            if not retries.again():
                raise


def _pieces(volume: ZarrVolume, box: Box) -> Iterator[Box]:
    """`box` cut where chunks end."""
    edges = []
    for axis, first, last, offset in zip(ZYX, box.start, box.stop, volume.offset, strict=True):
        size = _chunk_length(volume, axis)
        begin = (first + offset) // size * size - offset
        edges.append([(max(a, first), min(a + size, last)) for a in range(begin, last, size)])
    for z, y, x in product(*edges):
        yield Box((z[0], y[0], x[0]), (z[1], y[1], x[1]))


def _chunk(volume: ZarrVolume, channel: int, piece: Box) -> tuple[int, ...]:
    """The place of the chunk that holds `piece` of a channel."""
    corner = dict(zip(ZYX, piece.shift(volume.offset).start, strict=True))
    at = {"t": volume.time, "c": channel, **corner}
    return tuple(at[axis] // _chunk_length(volume, axis) for axis in volume.info.axes)


def _chunk_length(volume: ZarrVolume, axis: str) -> int:
    """How long a chunk is along `axis`; an axis that the file lacks has one."""
    axes: Any = volume.info.axes
    return int(volume.info.levels[volume.level].chunks[axes.index(axis)]) if axis in axes else 1


def _cause(error: BaseException) -> str:
    """What the codec or the file system said."""
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {' '.join(str(cause).split())[:160]}"
