"""Every score of a comparison, as one value: from counts to numbers, JSON and a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array
from bigcell.metrics.boundary import Boundary
from bigcell.metrics.cuts import SHARE, cuts
from bigcell.metrics.jaccard import (
    aggregated_jaccard,
    aggregated_jaccard_one_to_one,
    foreground_iou,
    mean_best_iou,
    seg,
)
from bigcell.metrics.matching import Agreement, agreement, matched_pairs
from bigcell.metrics.overlaps import Overlaps
from bigcell.metrics.pairs import CellPairs
from bigcell.metrics.partition import Information, in_true_cells, information, rand_f
from bigcell.metrics.tally import Tally

THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
"""0.5, 0.55 ... 0.95, as in COCO and the Data Science Bowl."""

AT = ("precision", "recall", "f1", "average_precision", "mean_iou", "panoptic_quality")


@dataclass(frozen=True)
class Sizes:
    """How the sizes of matched cells (IoU 0.5) differ: median of (found - truth) / truth, and of its absolute value."""

    bias: float
    error: float


@dataclass(frozen=True)
class Scores:
    """How well a labelling agrees with the truth. Higher is better, but for `split`, `merged`, variation of information
    and size errors. docs/howto/evaluate.md defines each.

    `at`: matching at each IoU threshold, ascending. `split`, `merged`: true cells in several pieces, cells found that
    hold several. `voi` counts all voxels, `voi_cells` those in true cells, and so does `rand`.
    """

    n_truth: int
    n_found: int
    voxels: int
    at: tuple[Agreement, ...]
    aggregated_jaccard: float
    aggregated_jaccard_one_to_one: float
    best_iou: float
    seg: float
    foreground_iou: float
    split: int
    merged: int
    voi: Information
    voi_cells: Information
    rand: float
    sizes: Sizes
    boundary: Boundary | None

    @property
    def mean_average_precision(self) -> float:
        """Mean of the average precision over the thresholds."""
        return sum(one.average_precision for one in self.at) / len(self.at)

    def to_json(self) -> dict[str, Any]:
        """All numbers by name, as JSON values."""
        counts = ("threshold", "matched", "missed", "extra")
        return {
            "cells": {"truth": self.n_truth, "found": self.n_found},
            "voxels": self.voxels,
            "thresholds": [{name: getattr(one, name) for name in (*counts, *AT)} for one in self.at],
            "mean_average_precision": self.mean_average_precision,
            "aggregated_jaccard": self.aggregated_jaccard,
            "aggregated_jaccard_one_to_one": self.aggregated_jaccard_one_to_one,
            "best_iou": self.best_iou,
            "seg": self.seg,
            "foreground_iou": self.foreground_iou,
            "split": self.split,
            "merged": self.merged,
            "variation_of_information": {"split_bits": self.voi.split, "merge_bits": self.voi.merge},
            "variation_of_information_in_cells": {
                "split_bits": self.voi_cells.split,
                "merge_bits": self.voi_cells.merge,
            },
            "rand_f": self.rand,
            "size_bias": self.sizes.bias,
            "size_error": self.sizes.error,
            "boundary": _boundary_json(self.boundary),
        }

    def __str__(self) -> str:
        """A table."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"cells      {self.n_truth} true, {self.n_found} found, in {self.voxels} voxels"
        yield ""
        yield "IoU   matched  missed   extra  precision  recall      F1      AP     IoU      PQ"
        for one in self.at:
            values = (one.precision, one.recall, one.f1, one.average_precision, one.mean_iou, one.panoptic_quality)
            rates = "  ".join(f"{v:{width}.3f}" for v, width in zip(values, (9, 6, 6, 6, 6, 6), strict=True))
            yield f"{one.threshold:<4g}{one.matched:>9}{one.missed:>8}{one.extra:>8}  {rates}"
        yield f"mean AP    {self.mean_average_precision:.3f}"
        yield ""
        one_to_one = self.aggregated_jaccard_one_to_one
        yield f"Jaccard    {self.aggregated_jaccard:.3f} aggregated, {one_to_one:.3f} one to one"
        foreground = self.foreground_iou
        yield f"IoU        {self.best_iou:.3f} best of each cell, {self.seg:.3f} SEG, {foreground:.3f} foreground"
        yield f"cut        {self.split} true cells split, {self.merged} cells found hold several"
        for name, rest, voi in (("VI", "", self.voi), ("in cells", f", Rand F {self.rand:.3f}", self.voi_cells)):
            yield f"{name:<11}{voi.split:.3f} split + {voi.merge:.3f} merge = {voi.total:.3f} bits{rest}"
        yield f"size       {self.sizes.bias:+.1%} bias, {self.sizes.error:.1%} error (medians of matched cells)"
        if self.boundary is not None:
            b = self.boundary
            yield f"boundary   precision {b.precision:.3f}, recall {b.recall:.3f}, F1 {b.f1:.3f}"


def score(counted: Tally | Overlaps, *, thresholds: Sequence[float] = THRESHOLDS, share: float = SHARE) -> Scores:
    """Every score of what was counted; of overlaps alone, all but the boundary's. `share`: see `cuts`."""
    thresholds = check_thresholds(thresholds)
    shared, edges = (counted, None) if isinstance(counted, Overlaps) else (counted.overlaps, counted.boundary)
    pairs = CellPairs.of(shared)
    inside, cut = in_true_cells(shared), cuts(pairs, share=share)
    return Scores(
        n_truth=len(pairs.truth),
        n_found=len(pairs.found),
        voxels=int(shared.voxels.sum()),
        at=tuple(agreement(pairs, t, matched_pairs(pairs, t)) for t in thresholds),
        aggregated_jaccard=aggregated_jaccard(pairs),
        aggregated_jaccard_one_to_one=aggregated_jaccard_one_to_one(pairs),
        best_iou=mean_best_iou(pairs),
        seg=seg(pairs),
        foreground_iou=foreground_iou(pairs),
        split=cut.split,
        merged=cut.merged,
        voi=information(shared),
        voi_cells=information(inside),
        rand=rand_f(inside),
        sizes=sizes(pairs, matched_pairs(pairs, 0.5)),
        boundary=edges,
    )


def check_thresholds(thresholds: Sequence[float]) -> tuple[float, ...]:
    """`thresholds` once each, ascending; SettingsError for none, or for one that is no IoU."""
    wanted = tuple(sorted({float(t) for t in thresholds}))
    if not wanted or not all(0 < t <= 1 for t in wanted):
        raise SettingsError(f"thresholds {list(thresholds)}: wanted IoUs above 0 and up to 1, as in 0.5, 0.75, 0.9")
    return wanted


def sizes(pairs: CellPairs, taken: Array) -> Sizes:
    """The size errors of the matched pairs at the places `taken`; zeros where there is none."""
    if len(taken) == 0:
        return Sizes(0.0, 0.0)
    change = pairs.found.voxels[pairs.b[taken]] / pairs.truth.voxels[pairs.a[taken]] - 1
    return Sizes(float(np.median(change)), float(np.median(np.abs(change))))


def _boundary_json(counts: Boundary | None) -> dict[str, Any] | None:
    if counts is None:
        return None
    return {**vars(counts), "precision": counts.precision, "recall": counts.recall, "f1": counts.f1}
