"""Windows on labels that stand in many blocks: which ones the objects of a block need, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bigcell.core.box import Box
from bigcell.core.relabel import renumber_into
from bigcell.core.volume import Array
from bigcell.engine.planning.memory_cost import PLANES_PER_READ, TILE
from bigcell.engine.tasks.job import Job
from bigcell.stitch.pieces import Pieces, owners

TABLES = 256
"""Tables that a task holds at once."""
ALONE = 2**22
"""Voxels that are read at once of an object that is read by itself (a plane of it at least)."""


@dataclass
class Tables:
    """Names in scratch entries, read once as long as few are wanted."""

    job: Job
    _held: dict[str, Array] = field(default_factory=dict)

    def names(self, entry: str) -> Array:
        if entry not in self._held:
            if len(self._held) >= TABLES:
                self._held.clear()
            self._held[entry] = self.job.scratch.load(entry)["name"]
        return self._held[entry]


@dataclass(frozen=True)
class NamedLabels:
    """The labels of a box by the names of their sinks: `values` (z, y, x) int32, where `i` stands for
    ``names[i - 1]`` and 0 for none."""

    names: Array
    values: Array

    @classmethod
    def read(cls, tables: Tables, box: Box) -> NamedLabels:
        """From all blocks that the box meets."""
        job, blocks = tables.job, list(filter(tables.job.is_active, tables.job.grid.touching(box)))
        known = [tables.names(f"pieces/{k}") for k in blocks]
        names = np.unique(np.concatenate([np.zeros(0, np.int64), *known]))
        values = np.zeros(box.shape, np.int32)
        for block, held in zip(blocks, known, strict=True):
            core = job.grid.core(block)
            part = core & box
            local = job.scratch.load_dense(f"labels/{block}", part.relative_to(core))
            numbers = np.concatenate([[0], np.searchsorted(names, held) + 1]).astype(np.int32)
            renumber_into(values[part.relative_to(box).slices], local, numbers)
        return cls(names, values)

    def numbers(self, names: Array) -> Array:
        """The numbers of `names`, which must be among them."""
        found: Array = np.searchsorted(self.names, names) + 1
        return found

    def only(self, names: Array) -> Array:
        """`values` with 1..n for `names` and 0 for everything else."""
        lut = np.zeros(len(self.names) + 1, np.int32)
        lut[self.numbers(names)] = np.arange(1, len(names) + 1)
        chosen: Array = lut[self.values]
        return chosen

    def kept(self, tables: Tables, entry: str) -> Array:
        """For each number, 0 included, whether its object stands in the scratch entries `entry` of its owner."""
        belong = owners(self.names, tables.job.grid)
        stay = np.zeros(len(self.names) + 1, bool)
        for owner in np.unique(belong):
            which = np.flatnonzero(belong == owner)
            stay[which + 1] = np.isin(self.names[which], tables.names(f"{entry}/{owner}"))
        return stay


def plane_windows(objects: Pieces, origin: int, flat: bool) -> Iterator[tuple[Array, Box]]:
    """Boxes that show every object plane by plane, each with the rows of `objects` that it shows: whole in y and x,
    and along z as far as the box goes. Slabs of planes are counted from `origin`."""
    low, high = objects.low, objects.high
    first = int(low[:, 0].min(initial=origin) - origin) // PLANES_PER_READ * PLANES_PER_READ + origin
    for start in range(first, int(high[:, 0].max(initial=origin)), PLANES_PER_READ):
        here = np.flatnonzero((low[:, 0] < start + PLANES_PER_READ) & (high[:, 0] > start))
        wide = np.max(high[here, 1:] - low[here, 1:], axis=1, initial=0) > TILE[flat] // 4
        narrow = here[~wide]
        for rows in _together(narrow, low[narrow, 1:] // TILE[flat]):
            yield rows, _around(objects, rows, start, start + PLANES_PER_READ)
        for row in here[wide]:
            yield from _alone(objects, int(row), start)


def whole_windows(objects: Pieces, flat: bool) -> Iterator[tuple[Array, Box]]:
    """Boxes that show every object whole, each with the rows of `objects` that it shows."""
    side = TILE[True] if flat else PLANES_PER_READ
    wide = np.max(objects.high - objects.low, axis=1, initial=0) > side // 2
    narrow = np.flatnonzero(~wide)
    for rows in [*_together(narrow, objects.low[narrow] // side), *np.flatnonzero(wide)[:, None]]:
        yield rows, Box(_triple(objects.low[rows].min(0)), _triple(objects.high[rows].max(0)))


def _together(rows: Array, tile: Array) -> Iterator[Array]:
    """`rows` by the tile that each one belongs to, (n, axes)."""
    if len(rows):
        _, group = np.unique(tile, axis=0, return_inverse=True)
        order = np.argsort(group.reshape(-1), kind="stable")
        yield from np.split(rows[order], np.cumsum(np.bincount(group.reshape(-1)))[:-1])


def _around(objects: Pieces, rows: Array, start: int, stop: int) -> Box:
    low, high = objects.low[rows].min(0), objects.high[rows].max(0)
    low[0], high[0] = max(low[0], start), min(high[0], stop)
    return Box(_triple(low), _triple(high))


def _alone(objects: Pieces, row: int, start: int) -> Iterator[tuple[Array, Box]]:
    """One wide object, a few planes at a time."""
    rows = np.array([row])
    box = _around(objects, rows, start, start + PLANES_PER_READ)
    planes = max(1, ALONE // (box.shape[1] * box.shape[2]))
    for part in box.split((planes, *box.shape[1:])):
        yield rows, part


def _triple(values: Array) -> tuple[int, ...]:
    return tuple(int(v) for v in values)
