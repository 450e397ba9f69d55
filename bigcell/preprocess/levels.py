"""LevelMap: what becomes 0 and what becomes 1, for the whole volume, for each plane or on a grid of tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from bigcell.core.volume import Array

BLANK = np.float32(3e38)
"""White of what holds nothing: all of it becomes 0, inverted or not."""
_BRIGHTEST = np.float32(1e38)  # no image is brighter; above it white is BLANK


@dataclass(frozen=True)
class LevelMap:
    """Black `low` and white `high`, float32 (channels, planes, rows, columns) each.

    Planes: 1 for all, or those from `first` on. Rows and columns of values lie evenly over `plane`, the volume's
    (y, x) extent, and are interpolated linearly between their centres, as images are resized; 1 is the same all over.
    """

    low: Array
    high: Array
    plane: tuple[int, int] = (1, 1)
    first: int = 0

    @classmethod
    def of_volume(cls, low: Array, high: Array) -> LevelMap:
        """One pair a channel."""
        shape = (-1, 1, 1, 1)
        return cls(low.astype(np.float32).reshape(shape), high.astype(np.float32).reshape(shape))

    @property
    def is_flat(self) -> bool:
        """Whether a plane has one pair of levels."""
        return bool(self.low.shape[2:] == (1, 1))


def join(maps: Sequence[LevelMap]) -> LevelMap:
    """Maps of planes that follow each other as one."""
    low, high = (np.concatenate([getattr(m, name) for m in maps], 1) for name in ("low", "high"))
    return LevelMap(low, high, maps[0].plane, maps[0].first)


def apply_levels(image: Array, levels: LevelMap, start: Sequence[int], *, invert: bool = False) -> Array:
    """(image - low) / (high - low) as float32, one minus that if `invert`; `image` (c, z, y, x) begins at `start`.

    Every voxel's value follows from its own intensity and its place in the volume alone.
    """
    source = image if image.dtype.kind == "f" or image.dtype.itemsize <= 4 else image.astype(np.float32)
    source = source.astype(np.float32, copy=False) if source.dtype.kind == "f" else source
    out = np.empty(image.shape, np.float32)
    planes = np.zeros(image.shape[1], np.int64)
    if levels.low.shape[1] > 1:
        planes = np.arange(start[0], start[0] + image.shape[1]) - levels.first
    if levels.is_flat:
        _flat(source, levels.low[:, planes, 0, 0], levels.high[:, planes, 0, 0], invert, out)
        return out
    rows = _between(start[1], image.shape[2], levels.plane[0], levels.low.shape[2])
    columns = _between(start[2], image.shape[3], levels.plane[1], levels.low.shape[3])
    _mapped(source, levels.low, levels.high, planes, *rows, *columns, invert, out)
    return out


def _between(start: int, count: int, length: int, knots: int) -> tuple[Array, Array]:
    """For voxels `start`.. of an axis of `length`: the knot below each, and the share of the next one (float64).

    Voxel X has its centre at (X + 1/2) knots / length - 1/2, kept within the knots.
    """
    at = np.clip((np.arange(start, start + count) + 0.5) * (knots / length) - 0.5, 0, knots - 1)
    below = np.minimum(np.floor(at).astype(np.int64), max(0, knots - 2))
    return below, at - below


@njit(cache=True, nogil=True)
def _flat(image, low, high, invert, out):  # type: ignore[no-untyped-def]
    one = np.float32(1)
    for c in range(image.shape[0]):
        for z in range(image.shape[1]):
            black, span = low[c, z], high[c, z] - low[c, z]
            if high[c, z] > _BRIGHTEST:
                out[c, z] = 0
                continue
            for y in range(image.shape[2]):
                for x in range(image.shape[3]):
                    value = (np.float32(image[c, z, y, x]) - black) / span
                    out[c, z, y, x] = one - value if invert else value


@njit(cache=True, nogil=True)
def _mapped(image, low, high, planes, row, down, column, right, invert, out):  # type: ignore[no-untyped-def]
    rows, columns = low.shape[2], low.shape[3]
    blacks, whites = np.empty(columns), np.empty(columns)
    for c in range(image.shape[0]):
        for z in range(image.shape[1]):
            p = planes[z]
            if high[c, p, 0, 0] > _BRIGHTEST:
                out[c, z] = 0
                continue
            for y in range(image.shape[2]):
                j, v = row[y], down[y]
                below = min(j + 1, rows - 1)
                for i in range(columns):
                    blacks[i] = low[c, p, j, i] * (1 - v) + low[c, p, below, i] * v
                    whites[i] = high[c, p, j, i] * (1 - v) + high[c, p, below, i] * v
                for x in range(image.shape[3]):
                    i, u = column[x], right[x]
                    after = min(i + 1, columns - 1)
                    black = blacks[i] * (1 - u) + blacks[after] * u
                    white = whites[i] * (1 - u) + whites[after] * u
                    value = (image[c, z, y, x] - black) / (white - black)
                    out[c, z, y, x] = np.float32(1 - value if invert else value)
