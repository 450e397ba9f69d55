"""Percentiles of overlapping tiles of every plane: a lattice over the whole extent, its percentiles made complete.

The lattice is Cellpose's (`normalize99_tile`), with the volume's extent for the image's. The tables are small: a pair
of numbers a tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter1d

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.preprocess.statistics import Ranges, measure

OVERLAP = 0.1
EMPTY = 1e-3
"""A tile whose percentiles differ by less than this share of the widest difference in the volume is empty."""
GROUP_SIDE = 512
GROUP_PLANES = 64
HELD_VOXELS = 1 << 25


@dataclass(frozen=True)
class PlaneTiles:
    """Tiles of `blocksize` pixels that overlap, spread evenly over the planes of `extent` (z, y, x).

    They are measured in groups, and a group's tiles never in two: what is measured does not depend on blocks of work.
    """

    extent: tuple[int, int, int]
    blocksize: int

    @cached_property
    def size(self) -> tuple[int, int]:
        """Pixels of a tile along y, x."""
        return (min(self.blocksize, self.extent[1]), min(self.blocksize, self.extent[2]))

    @cached_property
    def starts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """First pixels of the tiles along y and x.

        >>> PlaneTiles((1, 90, 250), 100).starts
        ((0,), (0, 75, 150))
        """
        return self._along(1), self._along(2)

    def _along(self, axis: int) -> tuple[int, ...]:
        length = self.extent[axis]
        if length <= self.blocksize:
            return (0,)
        count = ceil((1 + 2 * OVERLAP) * length / self.blocksize)
        return tuple(i * (length - self.blocksize) // (count - 1) for i in range(count))

    @property
    def counts(self) -> tuple[int, int]:
        """Tiles along y and x."""
        return len(self.starts[0]), len(self.starts[1])

    @cached_property
    def group_shape(self) -> tuple[int, int, int]:
        """Planes, rows and columns of tiles in a group."""
        side = max(1, round(GROUP_SIDE * (1 + 2 * OVERLAP) / self.blocksize))
        return max(1, min(GROUP_PLANES, HELD_VOXELS // (GROUP_SIDE + 2 * self.blocksize) ** 2)), side, side

    @cached_property
    def _groups(self) -> tuple[int, ...]:
        """Groups along each axis."""
        return tuple(-(-n // s) for n, s in zip((self.extent[0], *self.counts), self.group_shape, strict=True))

    def __len__(self) -> int:
        return prod(self._groups)

    def group(self, number: int) -> Box:
        """Group `number` as a box over (plane, row, column) of the tiles."""
        index = np.unravel_index(number, self._groups)
        start = tuple(int(i) * s for i, s in zip(index, self.group_shape, strict=True))
        whole = Box.of((self.extent[0], *self.counts))
        return Box(start, tuple(a + s for a, s in zip(start, self.group_shape, strict=True))) & whole

    def voxels(self, group: Box) -> Box:
        """The voxels that the tiles of `group` cover."""
        rows, columns = self.starts
        (z0, j0, i0), (z1, j1, i1) = group.start, group.stop
        return Box((z0, rows[j0], columns[i0]), (z1, rows[j1 - 1] + self.size[0], columns[i1 - 1] + self.size[1]))


def measure_tiles(image: Array, tiles: PlaneTiles, group: Box, percentiles: tuple[float, float]) -> Array:
    """Percentiles and extremes of the tiles of `group`: (4, planes, rows, columns) float32 low, high, least, most.

    `image` (z, y, x) holds ``tiles.voxels(group)``.
    """
    corner, (h, w) = tiles.voxels(group).start, tiles.size
    out = np.empty((4, *group.shape), np.float32)
    for j in range(group.start[1], group.stop[1]):
        for i in range(group.start[2], group.stop[2]):
            y, x = tiles.starts[0][j] - corner[1], tiles.starts[1][i] - corner[2]
            found: Ranges = measure(image[:, y : y + h, x : x + w], percentiles)
            here = (slice(None), slice(None), j - group.start[1], i - group.start[2])
            out[here] = found.low, found.high, found.least, found.most
    return out


def complete(low: Array, high: Array) -> tuple[Array, Array]:
    """`low`, `high` (planes, rows, columns) with empty tiles filled from the nearest tile of their plane that is not.

    Planes without any such tile take the nearest plane that has one. Of tiles or planes as near, the first is taken.
    At least one tile must have ``high > low``.
    """
    span = high - low
    full = span > EMPTY * span.max()
    source = np.empty((*full.shape, 2), np.int64)
    _nearest_tiles(full, source)
    plane = nearest_of(np.flatnonzero(full.any((1, 2))), len(full))
    pick = (plane[:, None, None], source[plane, ..., 0], source[plane, ..., 1])
    return low[pick], high[pick]


def nearest_of(some: Array, count: int) -> Array:
    """For each of `count` planes the nearest of `some` (ascending); of two as near, the first."""
    every = np.arange(count)
    above = some[np.minimum(np.searchsorted(some, every), len(some) - 1)]
    below = some[np.maximum(np.searchsorted(some, every, "right") - 1, 0)]
    near: Array = np.where(np.abs(every - below) <= np.abs(above - every), below, above)
    return near


@njit(cache=True, nogil=True)
def _nearest_tiles(full, source):  # type: ignore[no-untyped-def]
    """For each tile the (row, column) of the nearest full one of its plane, in growing squares round it."""
    planes, rows, columns = full.shape
    for p in range(planes):
        for j in range(rows):
            for i in range(columns):
                source[p, j, i, 0], source[p, j, i, 1] = j, i
                if full[p, j, i]:
                    continue
                best, r = rows * rows + columns * columns + 1, 1
                while r * r <= best and r < max(rows, columns):
                    for b in range(max(0, j - r), min(rows, j + r + 1)):
                        step = 1 if abs(b - j) == r else 2 * r
                        for a in range(i - r, i + r + 1, step):
                            if 0 <= a < columns and full[p, b, a]:
                                d = (b - j) * (b - j) + (a - i) * (a - i)
                                if d < best or (
                                    d == best and b * columns + a < source[p, j, i, 0] * columns + source[p, j, i, 1]
                                ):
                                    best = d
                                    source[p, j, i, 0], source[p, j, i, 1] = b, a
                    r += 1


def even_out(values: Array, *, one_for_all: bool, smooth: float) -> Array:
    """Percentiles (planes, rows, columns) of complete tiles as levels: float32 (1 or planes, rows, columns).

    `one_for_all`: the mean over planes, smoothed along y with sigma 1 and then `smooth` (0: not); else smoothed over
    planes and along y with sigma 1. (Cellpose's numbers, axes included: it leaves x to the interpolation.)
    """
    values = values.astype(np.float64)
    if one_for_all:
        values = gaussian_filter1d(values.mean(0, keepdims=True), 1, axis=1)
        values = gaussian_filter1d(values, smooth, axis=1) if smooth else values
    else:
        values = gaussian_filter1d(gaussian_filter1d(values, 1, axis=0), 1, axis=1)
    return values.astype(np.float32)
