"""How many voxels each pair of cells of two labellings shares: sparse counts that add up over blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bigcell.core.errors import InputError
from bigcell.core.volume import Array


@dataclass(frozen=True)
class Overlaps:
    """How many voxels each pair of cells shares. `truth` and `found` (uint64) hold the ids of each pair that does,
    sorted, 0 for background among them; `voxels` (int64) the counts. Grows with the cells, not with the voxels."""

    truth: Array = field(repr=False)
    found: Array = field(repr=False)
    voxels: Array = field(repr=False)

    def __add__(self, other: Overlaps) -> Overlaps:
        """The overlaps of two blocks together."""
        return merged([self, other])


@dataclass(frozen=True)
class Runs:
    """Stretches of voxels along the last axis with the same id in both labellings: first voxel (flat index), length.

    Labels are long runs of one number, so what is counted by runs costs a tenth of what is counted by voxels.
    """

    truth: Array
    found: Array
    start: Array
    length: Array

    @classmethod
    def of(cls, truth: Array, found: Array) -> Runs:
        """The runs of two integer labellings of one shape (any number of axes); InputError for anything else."""
        a, b = (_rows(labels) for labels in _checked(truth, found))
        change = np.ones(a.shape, bool)
        np.not_equal(a[:, 1:], a[:, :-1], out=change[:, 1:])
        change[:, 1:] |= b[:, 1:] != b[:, :-1]
        start = np.flatnonzero(change)
        length = np.diff(start, append=a.size)
        return cls(a.ravel()[start].astype(np.uint64), b.ravel()[start].astype(np.uint64), start, length)

    def overlaps(self) -> Overlaps:
        """The runs added up by pair of ids."""
        return _summed(self.truth, self.found, self.length)

    def measured(self, shape: Sequence[int], corner: Sequence[int]) -> tuple[Overlaps, Array]:
        """The same, and for each pair the sums of its voxels' indices, (pairs, axes) int64, in an array of `shape`
        whose first voxel is `corner` of the volume."""
        order, starts = _grouped(self.truth, self.found)
        length = self.length[order]
        sums = np.stack(np.unravel_index(self.start[order], tuple(shape)), 1) + np.asarray(corner, np.int64)
        sums *= length[:, None]
        sums[:, -1] += length * (length - 1) // 2  # a run goes on along the last axis
        truth, found = (ids[order][starts] for ids in (self.truth, self.found))
        return Overlaps(truth, found, np.add.reduceat(length, starts)), np.add.reduceat(sums, starts)


def overlaps(truth: Array, found: Array) -> Overlaps:
    """The overlaps of two integer labellings of the same shape (any number of axes).

    >>> o = overlaps(np.array([1, 1, 1, 0]), np.array([7, 7, 0, 0]))
    >>> [tuple(map(int, row)) for row in zip(o.truth, o.found, o.voxels)]
    [(0, 0, 1), (1, 0, 1), (1, 7, 2)]
    """
    return Runs.of(truth, found).overlaps()


def merged(parts: Iterable[Overlaps]) -> Overlaps:
    """The overlaps of any number of blocks together, in any order."""
    parts = list(parts)
    columns = (
        np.concatenate([np.empty(0, kind), *(getattr(p, n) for p in parts)])
        for n, kind in (("truth", np.uint64), ("found", np.uint64), ("voxels", np.int64))
    )
    return _summed(*columns)


def _checked(truth: Array, found: Array) -> tuple[Array, Array]:
    if truth.shape != found.shape:
        raise InputError(f"labels of shapes {truth.shape} and {found.shape}; wanted two labellings of the same voxels")
    for labels in (truth, found):
        if labels.dtype.kind not in "iub":
            raise InputError(f"labels are {labels.dtype}; wanted integers")
        if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
            raise InputError(f"labels hold {labels.min()}; wanted ids from 1 and 0 for background")
    return truth, found


def _rows(labels: Array) -> Array:
    """The labels as (rows, voxels along the last axis)."""
    return np.ascontiguousarray(labels).reshape(-1, labels.shape[-1] if labels.ndim and labels.size else 1)


def _summed(truth: Array, found: Array, voxels: Array) -> Overlaps:
    """One row for each pair, sorted."""
    order, starts = _grouped(truth, found)
    if len(starts) == 0:
        return Overlaps(truth, found, voxels)
    return Overlaps(truth[order][starts], found[order][starts], np.add.reduceat(voxels[order], starts))


def _grouped(truth: Array, found: Array) -> tuple[Array, Array]:
    """The order that sorts rows by pair of ids, and where in it each pair starts."""
    order = np.lexsort((found, truth))
    a, b = truth[order], found[order]
    first = np.ones(len(order), bool)
    first[1:] = (a[1:] != a[:-1]) | (b[1:] != b[:-1])
    return order, np.flatnonzero(first)
