"""The pairs of cells that share voxels, with sizes and IoU: what every score of a comparison is made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bigcell.core.volume import Array
from bigcell.metrics.overlaps import Overlaps


@dataclass(frozen=True)
class Side:
    """The cells of one labelling, ascending: `ids` (uint64) and `voxels` (int64). Background is not among them."""

    ids: Array
    voxels: Array

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class CellPairs:
    """The cells of two labellings, and for each pair that shares voxels the places `a`, `b` of its cells in `truth` and
    `found`, the `voxels` shared and the `iou`. Pairs go by a, then b."""

    truth: Side
    found: Side
    a: Array
    b: Array
    voxels: Array
    iou: Array

    @classmethod
    def of(cls, shared: Overlaps) -> CellPairs:
        truth, a = _side(shared.truth, shared.voxels)
        found, b = _side(shared.found, shared.voxels)
        cells = (a >= 0) & (b >= 0)
        a, b, voxels = a[cells], b[cells], shared.voxels[cells]
        return cls(truth, found, a, b, voxels, voxels / (truth.voxels[a] + found.voxels[b] - voxels))

    def swapped(self) -> CellPairs:
        """The same with truth and found in each other's place."""
        order = np.lexsort((self.a, self.b))
        return CellPairs(self.found, self.truth, self.b[order], self.a[order], self.voxels[order], self.iou[order])

    def best(self) -> Array:
        """For each true cell the pair (its place) with the highest IoU, of equal ones that of the lowest id found;
        -1 for a cell that shares voxels with none."""
        best = np.full(len(self.truth), -1)
        if len(self.a) == 0:
            return best
        starts = np.flatnonzero(np.diff(self.a, prepend=-1))
        highest = np.repeat(np.maximum.reduceat(self.iou, starts), np.diff(starts, append=len(self.a)))
        places = np.flatnonzero(self.iou == highest)[::-1]  # the last that is written is the lowest
        best[self.a[places]] = places
        return best


def _side(ids: Array, voxels: Array) -> tuple[Side, Array]:
    """The cells of one column of ids, and the place of each row's cell among them (-1 for background)."""
    known, place = np.unique(ids, return_inverse=True)
    sizes = np.bincount(place, voxels, len(known)).astype(np.int64)  # float64 sums: exact to 2^53 voxels
    background = int(len(known) > 0 and known[0] == 0)
    return Side(known[background:], sizes[background:]), place - background
