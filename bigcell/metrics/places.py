"""Where the cells of a labelling lie: voxels and sums of coordinates by id, which add up over blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from bigcell.core.volume import Array


@dataclass(frozen=True)
class Places:
    """The cells of one labelling by ascending id: `voxels` (n,) and, along each axis, the sum of their voxels' indices
    `sums` (n, axes), all int64. Background is not among them."""

    ids: Array = field(repr=False)
    voxels: Array = field(repr=False)
    sums: Array = field(repr=False)

    @property
    def centres(self) -> Array:
        """The mean voxel index of each cell, (n, axes)."""
        centres: Array = self.sums / np.maximum(self.voxels, 1)[:, None]
        return centres

    def of(self, ids: Array) -> Array:
        """The rows of the cells `ids`, which must be there."""
        return np.searchsorted(self.ids, ids)


def places(ids: Array, voxels: Array, sums: Array) -> Places:
    """The cells of rows that count some voxels of an id each, with the sums of their indices; background is left out.

    >>> found = places(np.array([0, 7, 7]), np.array([2, 1, 3]), np.array([[0, 1], [10, 5], [30, 9]]))
    >>> found.centres.tolist()
    [[10.0, 3.5]]
    """
    inside = ids > 0
    return _summed(ids[inside], voxels[inside], sums[inside])


def merged_places(parts: Iterable[Places]) -> Places:
    """The cells of any number of blocks together (at least one), in any order."""
    columns = zip(*((p.ids, p.voxels, p.sums) for p in parts), strict=True)
    ids, voxels, sums = (np.concatenate(column) for column in columns)
    return _summed(ids, voxels, sums)


def _summed(ids: Array, voxels: Array, sums: Array) -> Places:
    """One row for each cell."""
    order = np.argsort(ids, kind="stable")
    ids, voxels, sums = ids[order], voxels[order], sums[order]
    starts = np.flatnonzero(np.diff(ids, prepend=ids[:1] + 1)) if len(ids) else np.empty(0, np.int64)
    if len(starts) == 0:
        return Places(ids, voxels, sums)
    return Places(ids[starts], np.add.reduceat(voxels, starts), np.add.reduceat(sums, starts))
