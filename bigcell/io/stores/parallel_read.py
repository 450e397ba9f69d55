"""Reading parts of shards from a server: many requests at a time, where zarr makes one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import zarr

from bigcell.core.volume import Array

PARTS = 16
"""Parts that are read at a time; each asks for the index of its shard, then for its chunks, one by one."""

Pick = tuple[slice | int, ...]


def read_ahead(array: zarr.Array[Any], pick: Pick) -> Array:
    """``array[pick]``, slices with both ends and step 1, or whole numbers.

    zarr reads a whole shard by one request, but the chunks of a part of one after another. Blocks with a halo are
    such parts, and at 30 ms for a request a part of a hundred chunks would take seconds.
    """
    parts = list(_parts(array, pick))
    if len(parts) == 1:
        return np.asarray(array[pick])
    values = np.empty([s.stop - s.start for s in pick if isinstance(s, slice)], array.dtype)

    def read(part: Pick) -> None:
        values[_inside(part, pick)] = array[part]

    with ThreadPoolExecutor(PARTS) as pool:
        list(pool.map(read, parts))
    return values


def _parts(array: zarr.Array[Any], pick: Pick) -> Iterator[Pick]:
    """Whole shards, and rows of chunks along the last axis of the others."""
    shards = array.shards
    if shards is None:
        yield pick
        return
    *others, _ = array.chunks
    rows = (*others, shards[-1])
    for part in _cut(pick, shards):
        if all(_is_whole(p, n, end) for p, n, end in zip(part, shards, array.shape, strict=True)):
            yield part
        else:
            yield from _cut(part, rows)


def _cut(pick: Pick, sizes: Sequence[int]) -> Iterator[Pick]:
    """`pick` cut at multiples of `sizes`."""
    yield from product(*(_pieces(p, size) for p, size in zip(pick, sizes, strict=True)))


def _pieces(along: slice | int, size: int) -> list[slice | int]:
    if isinstance(along, int):
        return [along]
    first, last = along.start, along.stop
    return [slice(max(a, first), min(a + size, last)) for a in range(first // size * size, last, size)]


def _is_whole(along: slice | int, size: int, end: int) -> bool:
    if isinstance(along, int):
        return size == 1
    return bool(along.start % size == 0 and along.stop == min(along.start + size, end))


def _inside(part: Pick, pick: Pick) -> tuple[slice, ...]:
    """Where `part` lies in what `pick` gives, which has no axis for a whole number."""
    pairs = [(p, q) for p, q in zip(part, pick, strict=True) if isinstance(p, slice) and isinstance(q, slice)]
    return tuple(slice(p.start - q.start, p.stop - q.start) for p, q in pairs)
