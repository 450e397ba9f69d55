"""The network's tile lattice: a pure function of the volume's extent, anchored at its origin.

A task of the network stage is a *cube*: a group of lattice starts along every axis. It runs exactly the tiles that
start in it, in every view, so each tile of the volume is run once whatever the blocks are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Literal

import numpy as np

from bigcell.core.box import Box
from bigcell.core.errors import SettingsError
from bigcell.tiling.grid import BlockGrid

MULTIPLE = 16
"""Tile sides are multiples of this: the network halves its input three times, and one more to be safe."""

MARGIN = 8
"""Voxels past the edges in y and x that tiles show as zeros. Without them, networks trained on such tiles err at edges;
along z, where stacks are cut as they come, they were measured to do harm."""

VIEWS: tuple[tuple[int, int, int], ...] = ((0, 1, 2), (1, 0, 2), (2, 0, 1))
"""(normal, rows, columns) as axes of (z, y, x): planes yx, zx and zy."""

Layout = Literal["even", "cellpose"]


@dataclass(frozen=True)
class TileSettings:
    """How the network sees the volume, in voxels of its own (rescaled) grid.

    `size`: the longest tile side. `overlap`: the least overlap of neighbouring tiles, as a share of `size`.
    `group`: lattice starts per axis that one task runs (0: chosen from the extent). `batch`: tiles per network call.
    `layout`: "even" runs as few tiles as the overlap allows; "cellpose" runs the very tiles that Cellpose runs, with
    its margins. `fixed`: every tile has exactly `size`, as a transformer wants it. `mirrored`: Cellpose's tiles for
    test-time flips, half a tile apart (layout "cellpose" only).
    """

    size: int = 224
    overlap: float = 0.15
    group: int = 0
    batch: int = 8
    layout: Layout = "even"
    fixed: bool = False
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.size < MULTIPLE or self.size % MULTIPLE:
            raise SettingsError(f"tile size {self.size}: wanted a multiple of {MULTIPLE}")
        if not 0 <= self.overlap <= 0.5:
            raise SettingsError(f"tile overlap {self.overlap}: wanted a share between 0 and 0.5")
        if self.group < 0 or self.batch < 1:
            raise SettingsError(f"tile group {self.group} and batch {self.batch}: wanted 0 or more, and 1 or more")
        if self.layout not in ("even", "cellpose"):
            raise SettingsError(f"tile layout {self.layout!r}: wanted 'even' or 'cellpose'")
        if self.mirrored and self.layout != "cellpose":
            raise SettingsError("mirrored tiles are Cellpose's: wanted tile layout 'cellpose' with them")


@dataclass(frozen=True)
class AxisTiles:
    """The tiles along one axis: all of one `size`, at `starts`.

    Outer tiles may reach beyond the axis on both sides (there the network sees 0); two tiles may have the same start.
    `full` is the length of the taper that the tile is the middle of, 0 for one that falls off within the tile.
    """

    length: int
    size: int
    starts: tuple[int, ...]
    full: int = 0

    @classmethod
    def over(cls, length: int, settings: TileSettings, margin: int = 0) -> AxisTiles:
        """The tiles of `settings` over an axis of `length` voxels; even ones reach `margin` beyond both ends.

        >>> AxisTiles.over(256, TileSettings(size=224, overlap=0.15))
        AxisTiles(length=256, size=160, starts=(0, 96), full=0)
        >>> AxisTiles.over(256, TileSettings(size=224, overlap=0.1, layout="cellpose")).starts
        (-8, 40)
        """
        return cls._even(length, settings, margin) if settings.layout == "even" else cls._cellpose(length, settings)

    @classmethod
    def _even(cls, length: int, settings: TileSettings, margin: int) -> AxisTiles:
        """As few tiles as the overlap allows, no larger than needed unless fixed, spread evenly over the axis."""
        lap, seen = ceil(settings.overlap * settings.size), length + 2 * margin
        count = max(1, ceil((seen - lap) / (settings.size - lap)))
        size = ceil(ceil((seen + (count - 1) * lap) / count) / MULTIPLE) * MULTIPLE
        size = settings.size if settings.fixed else size
        reach = max(0, seen - size)
        starts = tuple(round(i * reach / (count - 1)) - margin for i in range(count)) if count > 1 else (-margin,)
        return cls(length, size, starts)

    @classmethod
    def _cellpose(cls, length: int, settings: TileSettings) -> AxisTiles:
        """The tiles of Cellpose 3.1 and, where they are `fixed`, of Cellpose 4.

        The axis is padded to a multiple of 16 and then by 8 on both sides (4: a short one to a tile in all). Tiles are
        the padded axis cut at equal distances: a fifth more of them than fit for an overlap of a tenth, or twice as
        many.
        """
        short = settings.fixed and length < settings.size
        missing = max(0, settings.size - length - 16) if short else -length % MULTIPLE
        lead = 8 + missing // 2
        padded = length + missing + 16
        if settings.mirrored:
            padded = max(padded, settings.size)  # filled up behind
            count = max(2, ceil(2.0 * padded / settings.size))
        else:
            overlap = min(0.5, max(0.05, settings.overlap))
            count = 1 if padded <= settings.size else ceil((1.0 + 2 * overlap) * padded / settings.size)
        size = min(settings.size, padded)
        starts = np.linspace(0, padded - size, count).astype(int) - lead
        return cls(length, size, tuple(int(s) for s in starts), max(224, size))


@dataclass(frozen=True)
class TileRun:
    """Tiles of one view at one lattice position: the planes `first` <= p < `last` along the view's normal.

    `row` and `column` count the tiles along the view's axes.
    """

    view: int
    row: int
    column: int
    first: int
    last: int


@dataclass(frozen=True)
class Lattice:
    """All tiles over one extent (z, y, x) of the network's grid, grouped into cubes. `shown`: the views of a stack."""

    extent: tuple[int, int, int]
    settings: TileSettings = TileSettings()
    shown: tuple[int, ...] = (0, 1, 2)

    @cached_property
    def axes(self) -> tuple[AxisTiles, ...]:
        """The tiles along z, y, x. Along y and x they show the network what Cellpose shows it, zeros past the edge."""
        return tuple(AxisTiles.over(n, self.settings, m) for n, m in zip(self.extent, (0, MARGIN, MARGIN), strict=True))

    @property
    def counts(self) -> tuple[int, ...]:
        """About how many starts there are along each axis, without making a list of them."""
        step = self.settings.size - ceil(self.settings.overlap * self.settings.size)
        return tuple(-(-n // step) for n in self.extent)

    @cached_property
    def views(self) -> tuple[int, ...]:
        """The views that are run: those of `shown`, or only yx for a single plane."""
        return (0,) if self.extent[0] == 1 else self.shown

    @cached_property
    def group(self) -> int:
        """Starts per axis and cube: as asked, else 4 in a plane, where a start is one tile and threads want several,
        else 2 unless that leaves fewer than 64 tasks."""
        if self.settings.group:
            return self.settings.group
        if self.extent[0] == 1:
            return 4
        return 2 if len(self._grid(2)) >= 64 else 1

    @cached_property
    def cubes(self) -> BlockGrid:
        """The cubes as a grid over lattice starts; `len` is the number of network tasks."""
        return self._grid(self.group)

    def _grid(self, group: int) -> BlockGrid:
        return BlockGrid(tuple(len(a.starts) for a in self.axes), (group,) * 3)

    def region(self, cube: int) -> Box:
        """The voxels from the cube's first tile starts to the next cube's: regions tile the extent.

        Planes are taken from them.
        """
        starts = self.cubes.core(cube)
        low = tuple(_border(a, i) for a, i in zip(self.axes, starts.start, strict=True))
        high = tuple(_border(a, j) for a, j in zip(self.axes, starts.stop, strict=True))
        return Box(low, high)

    def footprint(self, cube: int) -> Box:
        """The voxels that the cube's tiles cover, clipped to the extent."""
        starts = self.cubes.core(cube)
        low = tuple(max(0, a.starts[i]) for a, i in zip(self.axes, starts.start, strict=True))
        high = tuple(min(a.starts[j - 1] + a.size, a.length) for a, j in zip(self.axes, starts.stop, strict=True))
        return Box(low, high)

    def runs(self, cube: int) -> Iterator[TileRun]:
        """The tiles that `cube` owns, view by view."""
        starts, region = self.cubes.core(cube), self.region(cube)
        for view in self.views:
            normal, rows, columns = VIEWS[view]
            for i in range(starts.start[rows], starts.stop[rows]):
                for j in range(starts.start[columns], starts.stop[columns]):
                    yield TileRun(view, i, j, region.start[normal], region.stop[normal])

    def covering(self, box: Box) -> Iterator[int]:
        """The cubes whose footprints meet `box`, ascending."""
        box = box & Box.of(self.extent)
        if box.is_empty:
            return
        first, last = [], []
        for a, low, high in zip(self.axes, box.start, box.stop, strict=True):
            hit = [i for i, s in enumerate(a.starts) if s < high and s + a.size > low]
            first.append(hit[0])
            last.append(hit[-1] + 1)
        yield from self.cubes.touching(Box(tuple(first), tuple(last)))

    @cached_property
    def tiles(self) -> int:
        """Tiles of the whole volume, all views."""
        total = 0
        for view in self.views:
            normal, rows, columns = VIEWS[view]
            total += self.extent[normal] * len(self.axes[rows].starts) * len(self.axes[columns].starts)
        return total

    def tiles_of(self, cube: int) -> int:
        """Tiles that the cube owns, all views."""
        return sum(run.last - run.first for run in self.runs(cube))

    def input_voxels(self, view: int) -> int:
        """Voxels that go into the network for `view`, margins and padding included."""
        normal, rows, columns = VIEWS[view]
        a, b = self.axes[rows], self.axes[columns]
        return self.extent[normal] * len(a.starts) * a.size * len(b.starts) * b.size


def _border(axis: AxisTiles, index: int) -> int:
    """Where the region of the tiles from `index` on begins: 0 for the first, the axis's end for one beyond the last."""
    if index == 0:
        return 0
    return max(0, axis.starts[index]) if index < len(axis.starts) else axis.length
