"""Quantities of blocks on a coarse grid that has a bounded number of cells, however many blocks there are."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bigcell.core.axes import Zyx
from bigcell.core.volume import Array
from bigcell.report.facts import BlockMap, Quantity

SIDE = 256
"""Cells along y and x, at most."""
CELLS = 2**16
"""Cells of a map, at most."""
SLOW = 10
"""Slowest cells that are listed."""


def coarsening(counts: Sequence[int]) -> Zyx:
    """How many blocks along z, y, x make one cell.

    >>> coarsening((3, 20, 20)), coarsening((100, 100, 100)), coarsening((1, 600, 600))
    ((1, 1, 1), (3, 3, 2), (1, 3, 3))
    """
    factors = [1, -(-counts[1] // SIDE), -(-counts[2] // SIDE)]
    while True:
        cells = [-(-n // f) for n, f in zip(counts, factors, strict=True)]
        if np.prod(cells) <= CELLS:
            return (factors[0], factors[1], factors[2])
        factors[int(np.argmax(cells))] += 1


@dataclass
class BlockSums:
    """Sums over blocks, `counts` of them along z, y, x with `block` voxels each, in an extent."""

    extent: Zyx
    block: Zyx
    counts: Zyx
    factors: Zyx = field(init=False)
    seconds: Array = field(init=False)
    objects: Array = field(init=False)
    retries: Array = field(init=False)

    def __post_init__(self) -> None:
        self.factors = coarsening(self.counts)
        cells = [-(-n // f) for n, f in zip(self.counts, self.factors, strict=True)]
        self.seconds, self.objects, self.retries = (np.zeros(cells) for _ in range(3))

    def cell(self, block: int) -> tuple[int, ...]:
        """Where block number `block` (raster order) is counted."""
        rest, x = divmod(block, self.counts[2])
        z, y = divmod(rest, self.counts[1])
        return z // self.factors[0], y // self.factors[1], x // self.factors[2]

    def spread(self, start: Sequence[int], stop: Sequence[int], seconds: float, retries: int) -> None:
        """Share what was done for the voxels from `start` to `stop` among the cells that they touch."""
        sides = [b * f for b, f in zip(self.block, self.factors, strict=True)]
        where = tuple(slice(a // s, max(a // s + 1, -(-b // s))) for a, b, s in zip(start, stop, sides, strict=True))
        part = self.seconds[where]
        self.seconds[where] += seconds / max(1, part.size)
        self.retries[where] += retries / max(1, part.size)

    @property
    def held(self) -> Array:
        """How many blocks each cell holds."""
        sides: list[Any] = []
        for n, f in zip(self.counts, self.factors, strict=True):
            sides.append(np.minimum(np.arange(0, n, f) + f, n) - np.arange(0, n, f))
        return np.asarray(sides[0][:, None, None] * sides[1][None, :, None] * sides[2][None, None, :])

    def result(self) -> BlockMap:
        """The map: seconds and objects for each block, retries in all."""
        held = self.held
        quantities = (
            _quantity("time", "s a block", self.seconds / held),
            _quantity("objects", "a block", self.objects / held),
            _quantity("retries", "", self.retries, adds=True),
        )
        z, y, x = self.seconds.shape
        return BlockMap(
            self.extent, self.counts, self.block, self.factors, (z, y, x), quantities, tuple(self._slowest(held))
        )

    def _slowest(self, held: Array) -> list[tuple[tuple[int, ...], tuple[int, ...], float]]:
        each = (self.seconds / held).ravel()
        found = []
        for i in np.argsort(-each, kind="stable")[:SLOW]:
            if each[i] > 0:
                at = np.unravel_index(i, self.seconds.shape)
                sides = [b * f for b, f in zip(self.block, self.factors, strict=True)]
                start = tuple(int(a) * s for a, s in zip(at, sides, strict=True))
                stop = tuple(min(a + s, n) for a, s, n in zip(start, sides, self.extent, strict=True))
                found.append((start, stop, round(float(each[i]), 3)))
        return found


def _quantity(name: str, unit: str, values: Array, *, adds: bool = False) -> Quantity:
    high = float(values.max())
    levels = np.rint(values / (high or 1.0) * 254).astype(np.uint8) + np.uint8(1)
    numbers = (values.min(), np.median(values), values.mean(), values.max(), values.sum())
    least, middle, mean, most, total = (round(float(v), 4) for v in numbers)
    return Quantity(name, unit, high, b64encode(levels.tobytes()).decode(), least, middle, mean, most, total, adds)
