"""The cells that went wrong, one by one: split, merged, missed, extra, or matched poorly, with place and partner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array
from bigcell.metrics.cuts import SHARE, check_share, cuts
from bigcell.metrics.matching import matched_pairs
from bigcell.metrics.pairs import CellPairs, Side
from bigcell.metrics.places import Places
from bigcell.metrics.tally import Tally

Kind = Literal["merged", "split", "missed", "extra", "poor"]
KINDS: tuple[Kind, ...] = ("merged", "split", "missed", "extra", "poor")

PIECE = 1 << 16
"""Rows that are Python objects at a time, where rows are gone through."""


@dataclass(frozen=True)
class MistakeSettings:
    """`threshold`: IoU from which cells match. `poor`: a match below this IoU is listed too. `share`: see `cuts`."""

    threshold: float = 0.5
    poor: float = 0.7
    share: float = SHARE

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise SettingsError(f"threshold {self.threshold}: wanted an IoU above 0 and up to 1")
        if not 0 <= self.poor <= 1:
            raise SettingsError(f"poor {self.poor}: wanted an IoU from 0 to 1")
        check_share(self.share)


USUAL = MistakeSettings()


@dataclass(frozen=True)
class Mistake:
    """One cell that went wrong. `truth`, `found`: the cell and its best partner (highest IoU), 0 where it has none.

    A cell of the truth is split (it has `parts` pieces), missed, or poor; a cell found is merged (it holds `parts` true
    cells) or extra. `centre`: mean voxel index (z, y, x) of the cell that the mistake is told of, `voxels` its size.
    """

    kind: Kind
    truth: int
    found: int
    iou: float
    matched: bool
    parts: int
    voxels: int
    centre: tuple[float, ...]


@dataclass(frozen=True)
class Mistakes:
    """All cells that went wrong, as columns: by kind in the order of `KINDS`, the largest first. Iterates as rows."""

    kind: Array = field(repr=False)
    truth: Array = field(repr=False)
    found: Array = field(repr=False)
    iou: Array = field(repr=False)
    matched: Array = field(repr=False)
    parts: Array = field(repr=False)
    voxels: Array = field(repr=False)
    centre: Array = field(repr=False)

    def __len__(self) -> int:
        return len(self.kind)

    def counts(self) -> dict[Kind, int]:
        """How many of each kind there are."""
        return {kind: int((self.kind == i).sum()) for i, kind in enumerate(KINDS)}

    def __iter__(self) -> Iterator[Mistake]:
        for first in range(0, len(self), PIECE):
            part = {name: getattr(self, name)[first : first + PIECE].tolist() for name in Mistake.__annotations__}
            for values in zip(*part.values(), strict=True):
                row = dict(zip(part, values, strict=True))
                yield Mistake(**{**row, "kind": KINDS[row["kind"]], "centre": tuple(row["centre"])})


def mistakes(counted: Tally, settings: MistakeSettings = USUAL) -> Mistakes:
    """The cells that went wrong. Each is listed once: a cell that is split or merged as that, matched or not; else one
    without a match as missed or extra; else one whose match is below `settings.poor` as poor.

    A true cell that was merged into a neighbour has no match of its own, so it is missed, with that cell as `found`.
    """
    pairs = CellPairs.of(counted.overlaps)
    taken = matched_pairs(pairs, settings.threshold)
    cut = cuts(pairs, share=settings.share)
    mirrored = pairs.swapped()
    truth = _one_side(pairs, taken, cut.pieces, counted.truth)
    order = np.lexsort((pairs.a, pairs.b))  # of the mirrored pairs
    found = _one_side(mirrored, np.argsort(order)[taken], cut.whole, counted.found)
    lists = [
        _listed("merged", found, found.parts > 1),
        _listed("split", truth, truth.parts > 1),
        _listed("missed", truth, (truth.parts <= 1) & ~truth.matched),
        _listed("extra", found, (found.parts <= 1) & ~found.matched),
        _listed("poor", truth, (truth.parts <= 1) & truth.matched & (truth.iou < settings.poor)),
    ]
    columns = (np.concatenate([getattr(one, name) for one in lists]) for name in Mistakes.__annotations__)
    return Mistakes(*columns)


@dataclass(frozen=True)
class _Cells:
    """Every cell of one side, with its best partner in the other."""

    side: Side
    other: Array
    iou: Array
    matched: Array
    parts: Array
    centre: Array


def _one_side(pairs: CellPairs, taken: Array, parts: Array, where: Places) -> _Cells:
    best = pairs.best()
    met = best >= 0
    other = np.zeros(len(best), np.uint64)
    other[met] = pairs.found.ids[pairs.b[best[met]]]
    iou = np.zeros(len(best))
    iou[met] = pairs.iou[best[met]]
    matched = np.zeros(len(best), bool)
    matched[pairs.a[taken]] = True
    # the partner of a matched cell is the one it is matched with, which from an IoU of 0.5 upwards is the best
    other[pairs.a[taken]], iou[pairs.a[taken]] = pairs.found.ids[pairs.b[taken]], pairs.iou[taken]
    return _Cells(pairs.truth, other, iou, matched, parts, where.centres[where.of(pairs.truth.ids)])


def _listed(kind: Kind, cells: _Cells, chosen: Array) -> Mistakes:
    """The chosen cells, the largest first."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(-cells.side.voxels[rows], kind="stable")]
    own, other = cells.side.ids[rows], cells.other[rows]
    truth, found = (other, own) if kind in ("merged", "extra") else (own, other)
    return Mistakes(
        np.full(len(rows), KINDS.index(kind), np.int8),
        truth,
        found,
        cells.iou[rows],
        cells.matched[rows],
        cells.parts[rows],
        cells.side.voxels[rows],
        cells.centre[rows],
    )
