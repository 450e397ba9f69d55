"""How well two labellings agree: a one-to-one matching of their cells, and the scores that follow from it.

Made from overlaps, which are sparse and add up over blocks, so that a volume is compared without ever being in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.metrics.assignment import assign
from bigcell.metrics.overlaps import Overlaps, overlaps
from bigcell.metrics.pairs import CellPairs

__all__ = ["Agreement", "Matching", "Overlaps", "agreement", "compare", "match", "matched_pairs", "overlaps", "pooled"]


@dataclass(frozen=True)
class Agreement:
    """How many cells of two labellings match where an IoU of `threshold` is asked, of `n_truth` and `n_found` in all.

    `mean_iou`: of the matched pairs (the segmentation quality of Kirillov 2019), 0 where there is none.
    """

    threshold: float
    n_truth: int
    n_found: int
    matched: int
    mean_iou: float

    @property
    def missed(self) -> int:
        """True cells without a match: false negatives."""
        return self.n_truth - self.matched

    @property
    def extra(self) -> int:
        """Cells found without a match: false positives."""
        return self.n_found - self.matched

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
        """2 TP / (2 TP + FP + FN), the recognition quality of Kirillov 2019; 1 where there is no cell at all."""
        both = self.n_truth + self.n_found
        return 2 * self.matched / both if both else 1.0

    @property
    def average_precision(self) -> float:
        """Matched cells, of all that are in either labelling: TP / (TP + FP + FN), as in the Cellpose papers."""
        either = self.n_truth + self.n_found - self.matched
        return self.matched / either if either else 1.0

    @property
    def panoptic_quality(self) -> float:
        """Mean IoU of the matched pairs times F1 (Kirillov 2019, equation 1); 1 where there is no cell at all."""
        return self.mean_iou * self.f1 if self.n_truth + self.n_found else 1.0


@dataclass(frozen=True)
class Matching(Agreement):
    """Cells of two labellings, matched one to one where their IoU reaches `threshold`.

    `ids` is ``(n, 2)``: truth, found; `ious` ``(n,)``.
    """

    ids: Array = field(repr=False)
    ious: Array = field(repr=False)


def match(shared: Overlaps, *, threshold: float = 0.5) -> Matching:
    """The one-to-one matching of cells with an IoU of at least `threshold` that matches most, and of those the one of
    the largest summed IoU. From a threshold of 0.5 upwards (strictly above it) no cell has two candidates.

    >>> match(overlaps(np.array([1, 1, 1, 0]), np.array([7, 7, 0, 0]))).mean_iou.__round__(3)
    0.667
    """
    pairs = CellPairs.of(shared)
    taken = matched_pairs(pairs, threshold)
    ids = np.stack([pairs.truth.ids[pairs.a[taken]], pairs.found.ids[pairs.b[taken]]], 1)
    return Matching(**vars(agreement(pairs, threshold, taken)), ids=ids, ious=pairs.iou[taken])


def compare(truth: Array, found: Array, *, threshold: float = 0.5) -> Matching:
    """`match` of two labellings in memory."""
    return match(overlaps(truth, found), threshold=threshold)


def matched_pairs(pairs: CellPairs, threshold: float) -> Array:
    """The places of the pairs that `match` takes, ascending."""
    if not 0 < threshold <= 1:
        raise InputError(f"a threshold of {threshold} was given; wanted an IoU above 0 and up to 1")
    good = np.flatnonzero(pairs.iou >= threshold)
    return good[assign(pairs.a[good], pairs.b[good], pairs.iou[good], threshold=threshold)]


def agreement(pairs: CellPairs, threshold: float, taken: Array) -> Agreement:
    """The counts of a matching that takes the pairs at the places `taken`."""
    mean = float(pairs.iou[taken].mean()) if len(taken) else 0.0
    return Agreement(threshold, len(pairs.truth), len(pairs.found), len(taken), mean)


def pooled(each: Sequence[Agreement]) -> Agreement:
    """The cells of several images counted together; all of the same threshold.

    >>> pooled([Agreement(0.5, 4, 2, 2, 0.9), Agreement(0.5, 6, 8, 6, 0.7)]).f1
    0.8
    """
    thresholds = sorted({one.threshold for one in each})
    if len(thresholds) != 1:
        raise InputError(f"matchings at the IoUs {thresholds} were given; wanted at least one, all at the same IoU")
    matched = sum(one.matched for one in each)
    summed = sum(one.mean_iou * one.matched for one in each)
    n_truth, n_found = sum(one.n_truth for one in each), sum(one.n_found for one in each)
    return Agreement(thresholds[0], n_truth, n_found, matched, summed / matched if matched else 0.0)
