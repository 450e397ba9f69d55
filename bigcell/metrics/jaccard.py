"""Scores of whole labellings that divide shared voxels by all voxels: aggregated Jaccard, SEG, best IoU, foreground."""

from __future__ import annotations

import numpy as np

from bigcell.core.volume import Array
from bigcell.metrics.assignment import assign
from bigcell.metrics.pairs import CellPairs


def aggregated_jaccard(pairs: CellPairs) -> float:
    """The aggregated Jaccard index of Kumar et al., IEEE TMI 36 (2017), algorithm 1: every true cell takes the cell
    found with the highest IoU (which several may take); shared voxels over those in either, to which cells found that
    nobody took are added whole. 1 where there is no cell at all.

    >>> from bigcell.metrics.overlaps import overlaps
    >>> aggregated_jaccard(CellPairs.of(overlaps(np.array([1, 1, 1, 0, 2]), np.array([7, 7, 0, 5, 0]))))
    0.4
    """
    best = pairs.best()
    taken = best[best >= 0]
    shared = int(pairs.voxels[taken].sum())
    either = int(pairs.truth.voxels.sum()) - shared + int(pairs.found.voxels[pairs.b[taken]].sum())
    left = np.ones(len(pairs.found), bool)
    left[pairs.b[taken]] = False
    either += int(pairs.found.voxels[left].sum())
    return shared / either if either else 1.0


def aggregated_jaccard_one_to_one(pairs: CellPairs) -> float:
    """What Cellpose's ``aggregated_jaccard_index`` gives: shared voxels of cells matched one to one, over the voxels
    that are in a cell of either labelling. The matching has the most pairs with an IoU of 0.5, then the largest summed
    IoU of all pairs. 1 where there is no cell at all.
    """
    sure = np.flatnonzero(pairs.iou > 0.5)  # no other pair of either cell reaches 0.5, so these are always taken
    open_a, open_b = np.ones(len(pairs.truth), bool), np.ones(len(pairs.found), bool)
    open_a[pairs.a[sure]], open_b[pairs.b[sure]] = False, False
    rest = np.flatnonzero(open_a[pairs.a] & open_b[pairs.b])
    more = rest[assign(pairs.a[rest], pairs.b[rest], pairs.iou[rest], threshold=0.5)]
    either = _in_either(pairs)
    return int(pairs.voxels[sure].sum() + pairs.voxels[more].sum()) / either if either else 1.0


def foreground_iou(pairs: CellPairs) -> float:
    """IoU of the voxels that are in any cell: how well the foreground agrees, whatever the cells. 1 for no cell."""
    either = _in_either(pairs)
    return int(pairs.voxels.sum()) / either if either else 1.0


def mean_best_iou(pairs: CellPairs) -> float:
    """Mean over the true cells of the highest IoU with any cell found, 0 for a cell that meets none; 1 for no cell."""
    best = pairs.best()
    return float(pairs.iou[best[best >= 0]].sum() / len(best)) if len(best) else 1.0


def seg(pairs: CellPairs) -> float:
    """SEG of the Cell Tracking Challenge (Ulman et al., Nature Methods 14, 2017): mean over the true cells of the IoU
    with the cell found that holds more than half of it, 0 where none does; 1 where there is no true cell."""
    held: Array = 2 * pairs.voxels > pairs.truth.voxels[pairs.a]  # at most one for each true cell
    return float(pairs.iou[held].sum() / len(pairs.truth)) if len(pairs.truth) else 1.0


def _in_either(pairs: CellPairs) -> int:
    """Voxels that are in a cell of either labelling."""
    return int(pairs.truth.voxels.sum() + pairs.found.voxels.sum() - pairs.voxels.sum())
