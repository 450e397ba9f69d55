"""All that is counted of two labellings, block by block: made of one block, added up, and scored at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.metrics.boundary import Ball, Boundary, boundary
from bigcell.metrics.overlaps import Overlaps, Runs, merged
from bigcell.metrics.places import Places, merged_places, places

FEW = 1 << 18
"""Rows that wait at least before they are added up: sorting few rows again and again would take the time."""


@dataclass(frozen=True)
class Tally:
    """The counts of one or many blocks: shared voxels of pairs, places of the cells, boundary voxels near and far."""

    overlaps: Overlaps
    truth: Places
    found: Places
    boundary: Boundary

    @property
    def rows(self) -> int:
        return len(self.overlaps.voxels) + len(self.truth.ids) + len(self.found.ids)


def tally(truth: Array, found: Array, ball: Ball, *, core: Box | None = None, corner: Sequence[int] = ()) -> Tally:
    """The counts of the voxels in `core` (all) of two labellings (z, y, x) that reach ``halo(ball)`` voxels beyond it,
    or to the edge of what is compared. `corner`: the place of the arrays' first voxel in the volume (its first)."""
    inner = Box.of(truth.shape) if core is None else core
    at = inner.shift(corner or (0,) * truth.ndim).start
    shared, sums = Runs.of(truth[inner.slices], found[inner.slices]).measured(inner.shape, at)
    a, b = (places(ids, shared.voxels, sums) for ids in (shared.truth, shared.found))
    return Tally(shared, a, b, boundary(truth, found, ball, core=inner))


def merged_tallies(parts: Iterable[Tally]) -> Tally:
    """The counts of any number of blocks together (at least one), in any order."""
    parts = list(parts)
    total = Boundary()
    for part in parts:
        total = total + part.boundary
    return Tally(
        merged(p.overlaps for p in parts),
        merged_places(p.truth for p in parts),
        merged_places(p.found for p in parts),
        total,
    )


@dataclass
class Sum:
    """Adds up tallies as they come. It holds about twice the rows of their sum: a cell on a border has a row in
    each of its blocks, until they are added."""

    _total: Tally | None = None
    _waiting: list[Tally] = field(default_factory=list)
    _rows: int = 0

    def add(self, part: Tally) -> None:
        self._waiting.append(part)
        self._rows += part.rows
        if self._rows > max(FEW, self._total.rows if self._total else 0):
            self._settle()

    def total(self) -> Tally:
        """The sum of all that were added (at least one)."""
        if self._waiting:
            self._settle()
        assert self._total is not None, "nothing was added"
        return self._total

    def _settle(self) -> None:
        self._total = merged_tallies([*([self._total] if self._total else []), *self._waiting])
        self._waiting, self._rows = [], 0
