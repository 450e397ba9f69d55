"""Two labellings as partitions of the voxels: variation of information and Rand's index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bigcell.core.volume import Array
from bigcell.metrics.overlaps import Overlaps


@dataclass(frozen=True)
class Information:
    """Variation of information in bits (Meila 2007): `split` is H(found | truth), what cutting true cells costs, and
    `merge` H(truth | found), what fusing them costs. 0 is perfect; their sum is a distance."""

    split: float
    merge: float

    @property
    def total(self) -> float:
        return self.split + self.merge


def information(shared: Overlaps) -> Information:
    """Variation of information of all voxels, where background is one more cell in both labellings.

    >>> from bigcell.metrics.overlaps import overlaps
    >>> information(overlaps(np.array([1, 1, 1, 1]), np.array([7, 7, 8, 8])))
    Information(split=1.0, merge=0.0)
    """
    total = int(shared.voxels.sum())
    if total == 0:
        return Information(0.0, 0.0)
    given_truth = shared.voxels / _sums(shared.truth, shared.voxels)
    given_found = shared.voxels / _sums(shared.found, shared.voxels)
    share = shared.voxels / total
    # log2 of a share is at most 0; subtracting from 0 keeps a perfect score from being written -0.0
    return Information(
        split=float(0.0 - (share * np.log2(given_truth)).sum()), merge=float(0.0 - (share * np.log2(given_found)).sum())
    )


def rand_f(shared: Overlaps) -> float:
    """Rand's F-score (Arganda-Carreras et al., Frontiers in Neuroanatomy 9, 2015): of all pairs of voxels that one
    labelling puts in one cell, how many the other does too, as harmonic mean of both ways. 1 is perfect; one minus it
    is the adapted Rand error.
    """
    both = _couples(shared.voxels)
    truth, found = (_couples(_totals(ids, shared.voxels)) for ids in (shared.truth, shared.found))
    return 2 * both / (truth + found) if truth + found else 1.0


def in_true_cells(shared: Overlaps) -> Overlaps:
    """The overlaps of the voxels that are in a true cell: what CREMI and ISBI 2012 score, where background found
    there counts as one cell and background of the truth is not looked at."""
    inside = shared.truth > 0
    return Overlaps(shared.truth[inside], shared.found[inside], shared.voxels[inside])


def _totals(ids: Array, voxels: Array) -> Array:
    """Voxels of each id, ascending."""
    place = np.unique(ids, return_inverse=True)[1]
    return np.bincount(place, voxels)


def _sums(ids: Array, voxels: Array) -> Array:
    """Voxels of the id of each row."""
    place = np.unique(ids, return_inverse=True)[1]
    return np.bincount(place, voxels)[place]


def _couples(voxels: Array) -> float:
    """Twice the number of pairs of two voxels each; float64, since it goes with the square of the volume."""
    counts = voxels.astype(np.float64)
    return float((counts * (counts - 1)).sum())
