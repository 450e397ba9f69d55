"""Pieces: what one block knows of each object that it holds a part of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.tiling.grid import BlockGrid


@dataclass(frozen=True)
class Pieces:
    """A table of objects or parts of them, by ascending sink name: counts, coordinate sums and bounding boxes.

    `name` (n,), `voxels` (n,), `total` (n, 3) sum of z, y, x, `low` and `high` (n, 3) half-open box; all int64.
    """

    name: Array
    voxels: Array
    total: Array
    low: Array
    high: Array

    def __len__(self) -> int:
        return len(self.name)

    @classmethod
    def none(cls) -> Pieces:
        empty, three = np.zeros(0, np.int64), np.zeros((0, 3), np.int64)
        return cls(empty, empty, three, three, three)

    def take(self, which: Array) -> Pieces:
        return Pieces(self.name[which], self.voxels[which], self.total[which], self.low[which], self.high[which])

    @classmethod
    def measure(cls, local: Array, names: Array, box: Box) -> Pieces:
        """Pieces of a block of labels `local` (z, y, x) over `box`, where local id i stands for ``names[i - 1]``."""
        n = len(names)
        table = np.zeros((n + 1, 10), np.int64)
        table[:, 4:7] = np.iinfo(np.int64).max
        _measure(local, np.array(box.start), table)
        table = table[1:]
        return cls(names, table[:, 0], table[:, 1:4], table[:, 4:7], table[:, 7:10])

    @classmethod
    def sum(cls, parts: Sequence[Pieces]) -> Pieces:
        """Pieces of the same object added up. Integer sums: the order of `parts` does not matter."""
        if not parts:
            return cls.none()
        every = [np.concatenate([getattr(p, f) for p in parts]) for f in ("name", "voxels", "total", "low", "high")]
        name, inverse = np.unique(every[0], return_inverse=True)
        voxels = np.zeros(len(name), np.int64)
        total = np.zeros((len(name), 3), np.int64)
        low = np.full((len(name), 3), np.iinfo(np.int64).max)
        high = np.zeros((len(name), 3), np.int64)
        np.add.at(voxels, inverse, every[1])
        np.add.at(total, inverse, every[2])
        np.minimum.at(low, inverse, every[3])
        np.maximum.at(high, inverse, every[4])
        return cls(name, voxels, total, low, high)


def owners(names: Array, grid: BlockGrid) -> Array:
    """The block that holds the sink each name stands for."""
    return grid.owners(np.unravel_index(names - 1, grid.extent))


def reduce_owned(parts: Sequence[Pieces], grid: BlockGrid, block: int) -> Pieces:
    """The whole objects whose sinks lie in `block`, from the pieces of all blocks that hold a part of them."""
    return Pieces.sum([p.take(owners(p.name, grid) == block) for p in parts])


@njit(cache=True)
def _measure(local, origin, table):  # type: ignore[no-untyped-def]
    for z in range(local.shape[0]):
        for y in range(local.shape[1]):
            for x in range(local.shape[2]):
                i = local[z, y, x]
                if i == 0:
                    continue
                row = table[i]
                here = (z + origin[0], y + origin[1], x + origin[2])
                row[0] += 1
                for k in range(3):
                    row[1 + k] += here[k]
                    row[4 + k] = min(row[4 + k], here[k])
                    row[7 + k] = max(row[7 + k], here[k] + 1)
