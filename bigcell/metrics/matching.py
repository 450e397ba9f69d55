"""How well two labellings agree: overlaps of their cells, a one-to-one matching, and the scores that follow from it.

Overlaps are sparse and may be added up over blocks, so that a volume is compared without ever being in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bigcell.core.errors import InputError
from bigcell.core.volume import Array


@dataclass(frozen=True)
class Overlaps:
    """How many voxels each pair of cells shares. `truth` and `found` hold the ids of each pair that does, sorted, 0 for
    background among them; `voxels` the counts. One row for each pair: grows with the cells, not with the voxels."""

    truth: Array = field(repr=False)
    found: Array = field(repr=False)
    voxels: Array = field(repr=False)

    def __add__(self, other: Overlaps) -> Overlaps:
        """The overlaps of two blocks together."""
        pairs = (np.concatenate([getattr(self, n), getattr(other, n)]) for n in ("truth", "found", "voxels"))
        return _summed(*pairs)


@dataclass(frozen=True)
class Matching:
    """Cells of two labellings, matched one to one where their IoU reaches `threshold`.

    `ids` is ``(n, 2)``: truth, found; `ious` ``(n,)``. `n_truth` and `n_found` count all cells, matched or not.
    """

    threshold: float
    n_truth: int
    n_found: int
    ids: Array = field(repr=False)
    ious: Array = field(repr=False)

    @property
    def matched(self) -> int:
        return len(self.ious)

    @property
    def precision(self) -> float:
        """Part of the cells found that are right; 1 where none was found."""
        return self.matched / self.n_found if self.n_found else 1.0

    @property
    def recall(self) -> float:
        """Part of the true cells that were found; 1 where there is none."""
        return self.matched / self.n_truth if self.n_truth else 1.0

    @property
    def f1(self) -> float:
        both = self.n_truth + self.n_found
        return 2 * self.matched / both if both else 1.0

    @property
    def average_precision(self) -> float:
        """Matched cells, of all that are in either labelling: TP / (TP + FP + FN), as in the Cellpose papers."""
        either = self.n_truth + self.n_found - self.matched
        return self.matched / either if either else 1.0

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the matched pairs; 0 where there is none."""
        return float(self.ious.mean()) if self.matched else 0.0


def overlaps(truth: Array, found: Array) -> Overlaps:
    """The overlaps of two integer labellings of the same shape (any number of axes).

    >>> o = overlaps(np.array([1, 1, 1, 0]), np.array([7, 7, 0, 0]))
    >>> [tuple(map(int, row)) for row in zip(o.truth, o.found, o.voxels)]
    [(0, 0, 1), (1, 0, 1), (1, 7, 2)]
    """
    if truth.shape != found.shape:
        raise InputError(f"labels of shapes {truth.shape} and {found.shape}; wanted two labellings of the same voxels")
    for labels in (truth, found):
        if labels.dtype.kind not in "iub":
            raise InputError(f"labels are {labels.dtype}; wanted integers")
    a, a_index = np.unique(truth, return_inverse=True)
    b, b_index = np.unique(found, return_inverse=True)
    pair, voxels = np.unique(a_index.ravel() * np.int64(len(b)) + b_index.ravel(), return_counts=True)
    return _summed(a[pair // len(b)].astype(np.uint64), b[pair % len(b)].astype(np.uint64), voxels.astype(np.int64))


def merged(parts: Iterable[Overlaps]) -> Overlaps:
    """The overlaps of any number of blocks together, in any order."""
    parts = list(parts)
    columns = (
        np.concatenate([np.empty(0, kind), *(getattr(p, n) for p in parts)])
        for n, kind in (("truth", np.uint64), ("found", np.uint64), ("voxels", np.int64))
    )
    return _summed(*columns)


def match(shared: Overlaps, *, threshold: float = 0.5) -> Matching:
    """The one-to-one matching of cells with an IoU of at least `threshold` that matches most, and of those the one of
    the largest summed IoU. From a threshold of 0.5 upwards (strictly above it) no cell has two candidates.

    >>> match(overlaps(np.array([1, 1, 1, 0]), np.array([7, 7, 0, 0]))).mean_iou.__round__(3)
    0.667
    """
    if not 0 < threshold <= 1:
        raise InputError(f"a threshold of {threshold} was given; wanted an IoU above 0 and up to 1")
    truth, truth_index = np.unique(shared.truth, return_inverse=True)
    found, found_index = np.unique(shared.found, return_inverse=True)
    size_a = np.bincount(truth_index, shared.voxels, len(truth))[truth_index]
    size_b = np.bincount(found_index, shared.voxels, len(found))[found_index]
    iou = shared.voxels / (size_a + size_b - shared.voxels)
    good = (shared.truth > 0) & (shared.found > 0) & (iou >= threshold)
    chosen = _best(truth_index[good], found_index[good], iou[good])
    ids = np.stack([shared.truth[good][chosen], shared.found[good][chosen]], 1)
    return Matching(threshold, int((truth > 0).sum()), int((found > 0).sum()), ids, iou[good][chosen])


def compare(truth: Array, found: Array, *, threshold: float = 0.5) -> Matching:
    """`match` of two labellings in memory."""
    return match(overlaps(truth, found), threshold=threshold)


def _summed(truth: Array, found: Array, voxels: Array) -> Overlaps:
    """One row for each pair, sorted."""
    order = np.lexsort((found, truth))
    truth, found, voxels = truth[order], found[order], voxels[order]
    first = np.ones(len(truth), bool)
    first[1:] = (truth[1:] != truth[:-1]) | (found[1:] != found[:-1])
    starts = np.flatnonzero(first)
    return Overlaps(truth[starts], found[starts], np.add.reduceat(voxels, starts) if len(starts) else voxels)


def _best(a: Array, b: Array, iou: Array) -> Array:
    """Which of the pairs (a, b) to take, sorted: each a and b once, as many as can be, then the largest sum of `iou`.

    Solved exactly, for each group of cells that compete with one another: almost always a single pair.
    """
    if len(iou) == 0:
        return np.empty(0, np.int64)
    _, a = np.unique(a, return_inverse=True)
    _, b = np.unique(b, return_inverse=True)
    nodes = a.max() + 1 + b.max() + 1
    _, group = connected_components(coo_array((iou, (a, a.max() + 1 + b)), (nodes, nodes)), directed=False)
    order = np.argsort(group[a], kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(group[a][order])) + 1)
    return np.sort(np.concatenate([g if len(g) == 1 else g[_assigned(a[g], b[g], iou[g])] for g in groups]))


def _assigned(a: Array, b: Array, iou: Array) -> Array:
    """As `_best`, for one group of competing cells."""
    rows, i = np.unique(a, return_inverse=True)
    columns, j = np.unique(b, return_inverse=True)
    gain, pair = np.zeros((len(rows), len(columns))), np.full((len(rows), len(columns)), -1)
    gain[i, j] = len(iou) + iou  # one pair more is worth more than any sum of IoU
    pair[i, j] = np.arange(len(iou))
    taken = pair[linear_sum_assignment(gain, maximize=True)]
    return np.asarray(taken[taken >= 0])
