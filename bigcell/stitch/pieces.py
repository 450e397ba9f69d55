"""Pieces: what one block knows of each object that it holds a part of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.tiling.grid import BlockGrid


@dataclass(frozen=True)
class Pieces:
    """A table of objects or parts of them, by ascending sink name: counts, coordinate sums and bounding boxes.

    `name` (n,), `voxels` (n,), `total` (n, 3) sum of z, y, x, `low` and `high` (n, 3) half-open box, `gap` (n,): 1 if
    something else lies between two voxels of one row along x, plus 2 if so along y; all int64.
    """

    name: Array
    voxels: Array
    total: Array
    low: Array
    high: Array
    gap: Array

    def __len__(self) -> int:
        return len(self.name)

    @classmethod
    def none(cls) -> Pieces:
        empty, three = np.zeros(0, np.int64), np.zeros((0, 3), np.int64)
        return cls(empty, empty, three, three, three, empty)

    def take(self, which: Array | slice) -> Pieces:
        return Pieces(*(getattr(self, f)[which] for f in FIELDS))

    @classmethod
    def measure(cls, local: Array, names: Array, box: Box) -> Pieces:
        """Pieces of a block of labels `local` (z, y, x) over `box`, where local id i stands for ``names[i - 1]``."""
        n = len(names)
        table = np.zeros((n + 1, 11), np.int64)
        table[:, 4:7] = np.iinfo(np.int64).max
        _measure(local, np.array(box.start), table)
        _find_gaps(local, table)
        table = table[1:]
        return cls(names, table[:, 0], table[:, 1:4], table[:, 4:7], table[:, 7:10], table[:, 10])

    @classmethod
    def sum(cls, parts: Sequence[Pieces]) -> Pieces:
        """Pieces of the same object added up. Integer sums: the order of `parts` does not matter."""
        every = cls.join(parts)
        every = every.take(np.argsort(every.name, kind="stable"))
        new = np.ones(len(every), bool)
        new[1:] = every.name[1:] != every.name[:-1]
        if new.all():
            return every
        first = np.flatnonzero(new)
        ways = (np.add, np.add, np.minimum, np.maximum, np.bitwise_or)
        added = [way.reduceat(getattr(every, f), first) for way, f in zip(ways, FIELDS[1:], strict=True)]
        return cls(every.name[first], *added)

    @classmethod
    def join(cls, parts: Sequence[Pieces]) -> Pieces:
        """All rows of `parts`, one after the other as they are."""
        if len(parts) < 2:
            return parts[0] if parts else cls.none()
        return cls(*(np.concatenate([getattr(p, f) for p in parts]) for f in FIELDS))

    def may_have_holes(self, grid: BlockGrid) -> Array:
        """Which objects, whole but measured block by block, may shut something in within a plane: such a hole is a gap
        along y and along x, and one that no block saw lies across blocks."""
        first, last = self.low // grid.shape, (self.high - 1) // grid.shape
        across = first != last
        found: Array = ((self.gap & 1 > 0) | across[:, 2]) & ((self.gap & 2 > 0) | across[:, 1])
        return found


FIELDS = ("name", "voxels", "total", "low", "high", "gap")


def owners(names: Array, grid: BlockGrid) -> Array:
    """The block that holds the sink each name stands for."""
    return grid.owners(np.unravel_index(names - 1, grid.extent))


@dataclass(frozen=True)
class OwnedPieces:
    """The pieces that one block knows, sorted by the blocks that own their objects: `rows` from `start` to `stop` of
    each owner, by ascending name."""

    rows: Pieces
    places: dict[int, tuple[int, int]]

    @classmethod
    def of(cls, pieces: Pieces, grid: BlockGrid) -> OwnedPieces:
        belong = owners(pieces.name, grid)
        order = np.argsort(belong, kind="stable")
        owner, first = np.unique(belong[order], return_index=True)
        cuts = np.append(first, len(pieces)).tolist()
        return cls(pieces.take(order), dict(zip(owner.tolist(), pairwise(cuts), strict=True)))

    def by(self, owner: int) -> Pieces:
        """Those of objects that block `owner` owns."""
        return self.rows.take(slice(*self.places.get(owner, (0, 0))))


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _find_gaps(local, table):  # type: ignore[no-untyped-def]
    """Flag (in the last column) the labels of which two voxels of a row along x, or along y, have others between."""
    Z, Y, X = local.shape  # noqa: N806
    seen = np.full((len(table), 4), -9, np.int64)  # last row and its last voxel along x; the same along y
    for z in range(Z):
        for y in range(Y):
            for x in range(X):
                i = local[z, y, x]
                if i > 0:
                    if seen[i, 0] == z * Y + y and seen[i, 1] != x - 1:
                        table[i, 10] |= 1
                    seen[i, 0], seen[i, 1] = z * Y + y, x
        for x in range(X):
            for y in range(Y):
                i = local[z, y, x]
                if i > 0:
                    if seen[i, 2] == z * X + x and seen[i, 3] != y - 1:
                        table[i, 10] |= 2
                    seen[i, 2], seen[i, 3] = z * X + x, y
