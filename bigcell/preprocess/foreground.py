"""Foreground: the parts of a volume that may hold cells, as a coarse grid of yes and no that fits in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil, log2, prod

import numpy as np
from scipy.ndimage import maximum_filter1d

from bigcell.core.axes import Zyx
from bigcell.core.box import Box
from bigcell.core.volume import Array

Span = tuple[Array, Array]
"""First and last (exclusive) voxel of a mask that overlap each cell along an axis, (cells,) int64 each."""

SIDE = 16
"""Voxels of a cell along y and x; along z about as much in space. Twice as many as often as `MOST_CELLS` asks for."""
MOST_CELLS = 1 << 25
PIECE = 1 << 25
"""Voxels of a mask that are read at once."""
PIECE_PLANES = 64
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Foreground:
    """`cells` (z, y, x) bool over a volume of `extent`: a voxel is foreground if the cell of `side` it lies in is.

    >>> left = Foreground(np.array([[[True, False]]]), (1, 16, 16), (1, 10, 20))
    >>> left.holds(Box((0, 0, 15), (1, 10, 20))), left.holds(Box((0, 0, 16), (1, 10, 20))), left.voxels
    (True, False, 160)
    """

    cells: Array
    side: Zyx
    extent: Zyx

    def holds(self, box: Box) -> bool:
        """Whether any voxel of `box` is foreground; there is none beyond the volume."""
        return bool(self._part(box).any())

    def covers(self, box: Box) -> bool:
        """Whether all of `box`, which lies in the volume, is foreground."""
        return bool(self._part(box).all())

    def bounds(self, box: Box) -> Box:
        """The least box that has all foreground of `box` in it; an empty one if there is none."""
        box = box & Box.of(self.extent)
        part = self._part(box)
        if not part.any():
            return Box(box.start, box.start)
        low, high = [], []
        for axis, (a, side) in enumerate(zip(box.start, self.side, strict=True)):
            there = np.flatnonzero(part.any(tuple(i for i in range(3) if i != axis))) + a // side
            low.append(int(there[0]) * side)
            high.append(int(there[-1] + 1) * side)
        return Box(tuple(low), tuple(high)) & box

    def mask(self, box: Box) -> Array:
        """Which voxels of `box`, which lies in the volume, are foreground: (*box) bool."""
        places = [np.arange(a, b) // s for a, b, s in zip(box.start, box.stop, self.side, strict=True)]
        found: Array = self.cells[np.ix_(*places)]
        return found

    @cached_property
    def planes(self) -> Array:
        """Foreground voxels of each plane, (z,) int64."""
        rows, columns = (self._lengths(axis) for axis in (1, 2))
        layers = np.array([rows @ (layer @ columns) for layer in self.cells], np.int64)
        return np.repeat(layers, self._lengths(0))

    @property
    def voxels(self) -> int:
        """Foreground voxels in all."""
        return int(self.planes.sum())

    @cached_property
    def sha256(self) -> str:
        """Equal for equal foregrounds."""
        digest = hashlib.sha256(repr((self.side, self.extent)).encode())
        digest.update(np.packbits(self.cells).tobytes())
        return digest.hexdigest()

    def arrays(self) -> dict[str, Array]:
        """What `of_arrays` makes it from again."""
        return {"cells": np.packbits(self.cells), "side": np.array(self.side), "extent": np.array(self.extent)}

    @classmethod
    def of_arrays(cls, held: Mapping[str, Array]) -> Foreground:
        """The foreground that `arrays` told."""
        side, extent = (tuple(int(n) for n in held[name]) for name in ("side", "extent"))
        counts = cell_counts(extent, side)  # type: ignore[arg-type]
        cells = np.unpackbits(held["cells"], count=prod(counts)).astype(bool).reshape(counts)
        return cls(cells, side, extent)  # type: ignore[arg-type]

    def _part(self, box: Box) -> Array:
        """The cells that meet `box`."""
        box = box & Box.of(self.extent)
        ends = zip(box.start, box.stop, self.side, strict=True)
        part: Array = self.cells[tuple(slice(a // s, -(-b // s) if b > a else a // s) for a, b, s in ends)]
        return part

    def _lengths(self, axis: int) -> Array:
        """Voxels of the cells along an axis: the last one ends with the volume."""
        count, side = self.cells.shape[axis], self.side[axis]
        lengths: Array = np.minimum(side, self.extent[axis] - side * np.arange(count))
        return lengths


def cell_side(extent: Zyx, anisotropy: float) -> Zyx:
    """Voxels of a cell: a function of the volume alone, so that blocks leave no trace in what is foreground.

    `anisotropy`: z over x voxel size.

    >>> cell_side((300, 2000, 2000), 1.0), cell_side((300, 2000, 2000), 5.0), cell_side((10_000,) * 3, 1.0)
    ((16, 16, 16), (4, 16, 16), (32, 32, 32))
    """
    z = 1 if extent[0] == 1 else min(SIDE, max(1, 2 ** round(log2(SIDE / anisotropy))))
    side = (z, SIDE, SIDE)
    while prod(cell_counts(extent, side)) > MOST_CELLS:
        side = (side[0] * (1 if extent[0] == 1 else 2), side[1] * 2, side[2] * 2)
    return side


def cell_counts(extent: Zyx, side: Zyx) -> Zyx:
    """Cells along z, y, x."""
    z, y, x = (-(-n // s) for n, s in zip(extent, side, strict=True))
    return (z, y, x)


def span(axis: int, extent: Zyx, side: Zyx, offset: int, ratio: float, count: int) -> Span:
    """The voxels of a mask that overlap each cell along an axis.

    The mask has `count` voxels there, each as long as `ratio` voxels of the volume, and begins `offset` voxels before
    it. What lies beyond the mask's last voxel counts to that.

    >>> [ends.tolist() for ends in span(2, (1, 40, 40), (1, 16, 16), 0, 10.0, 4)]
    [[0, 1, 3], [2, 4, 4]]
    """
    first = np.arange(-(-extent[axis] // side[axis])) * side[axis]
    last = np.minimum(first + side[axis], extent[axis])
    low = np.clip(np.floor((first + offset) / ratio + _ROUNDING).astype(np.int64), 0, count - 1)
    high = np.ceil((last + offset) / ratio - _ROUNDING).astype(np.int64)
    return low, np.clip(high, low + 1, count)


def occupied(read: Callable[[Box], Array], spans: tuple[Span, Span, Span]) -> Array:
    """The cells (z, y, x) bool that a mask has any voxel set in. `read(box)` gives a box of the mask as bool.

    A piece of the mask is held at a time, and every voxel read once (twice where two cells share it).
    """
    counts = tuple(len(low) for low, _ in spans)
    cells = np.zeros(counts, bool)
    for piece in Box.of(counts).split(_pieces(spans)):
        low = tuple(int(s[0][a]) for s, a in zip(spans, piece.start, strict=True))
        high = tuple(int(s[1][b - 1]) for s, b in zip(spans, piece.stop, strict=True))
        found = read(Box(low, high))
        for axis in range(3):
            here = slice(piece.start[axis], piece.stop[axis])
            found = _any_along(found, axis, *(ends[here] - low[axis] for ends in spans[axis]))
        cells[piece.slices] = found
    return cells


def grown(cells: Array, margins: Zyx) -> Array:
    """`cells` and all within `margins` cells along z, y and x of one that is set."""
    out = cells.astype(np.uint8)
    for axis, margin in enumerate(margins):
        if margin:
            out = maximum_filter1d(out, 2 * margin + 1, axis, mode="constant")
    found: Array = out.astype(bool)
    return found


def _pieces(spans: tuple[Span, Span, Span]) -> Zyx:
    """Cells that are filled at once: whole rows, as many planes and then rows of the mask as may be held."""
    length = [int(high[-1] - low[0]) for low, high in spans]
    each = [n / len(low) for n, (low, _) in zip(length, spans, strict=True)]
    rows = min(len(spans[1][0]), max(1, int(PIECE / (PIECE_PLANES * length[2]) / each[1])))
    planes = min(PIECE_PLANES, PIECE / (ceil(rows * each[1]) * length[2]))
    return (max(1, int(planes / each[0])), rows, len(spans[2][0]))


def _any_along(values: Array, axis: int, low: Array, high: Array) -> Array:
    """Whether any of the `values` from `low` on and before `high` is set, for each such pair, along an axis."""
    padding = [(0, int(i == axis)) for i in range(3)]
    ends = np.stack([low, high], 1).reshape(-1)
    every = np.logical_or.reduceat(np.pad(values, padding), ends, axis=axis)
    found: Array = np.take(every, np.arange(0, len(ends), 2), axis=axis)
    return found
