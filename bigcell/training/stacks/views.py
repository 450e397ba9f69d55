"""Planes of a volume in its three orientations, in pixels that are as long as they are wide.

A plane has rows and columns of cubic pixels: where voxels are longer along z than along x, a voxel of a side view is
several rows. Pixel r of n rows has its centre at (r + 1/2) / stretch - 1/2 of the voxels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bigcell.core.box import Box
from bigcell.core.volume import Array, Volume

Pair = tuple[int, int]


@dataclass(frozen=True)
class View:
    """The part `box` of a volume seen along `axis`; `anisotropy`: how many times a voxel is longer along z than x."""

    box: Box
    axis: int
    anisotropy: float = 1.0

    @property
    def axes(self) -> Pair:
        """The axes of rows and columns: what is left of z, y, x."""
        rows, columns = (a for a in range(3) if a != self.axis)
        return rows, columns

    @property
    def stretch(self) -> float:
        """Rows for each voxel."""
        return 1.0 if self.axis == 0 else self.anisotropy

    @property
    def count(self) -> int:
        """Planes."""
        return self.box.shape[self.axis]

    @property
    def shape(self) -> Pair:
        """Rows and columns of cubic pixels."""
        rows, columns = (self.box.shape[a] for a in self.axes)
        return max(1, round(rows * self.stretch)), columns

    def voxels(self, index: int, rows: Pair, columns: Pair) -> Box:
        """The box one voxel thick of plane `index` (from 0): voxels `rows` and `columns`, counted from the box."""
        start, stop = list(self.box.start), list(self.box.stop)
        start[self.axis] += index
        stop[self.axis] = start[self.axis] + 1
        for axis, (a, b) in zip(self.axes, (rows, columns), strict=True):
            start[axis], stop[axis] = self.box.start[axis] + a, self.box.start[axis] + b
        return Box(tuple(start), tuple(stop))

    def to_voxels(self, places: Array) -> Array:
        """Places (..., 2) in pixels of the plane as places in voxels, counted from the box."""
        return np.stack([(places[..., 0] + 0.5) / self.stretch - 0.5, places[..., 1]], -1)

    def rows(self, start: int, stop: int) -> Array:
        """Where the rows `start` to `stop` of pixels lie, in rows of voxels of the box, which they do not leave."""
        last = self.box.shape[self.axes[0]] - 1
        places: Array = np.clip((np.arange(start, stop) + 0.5) / self.stretch - 0.5, 0, last)
        return places


def read_plane(volume: Volume, view: View, index: int, rows: Pair, columns: Pair) -> Array:
    """Voxels ``(channel, h, w)`` of plane `index` of `view`, `rows` and `columns` of voxels counted from its box."""
    plane: Array = volume.read(view.voxels(index, rows, columns)).take(0, axis=view.axis + 1)
    return plane


def views_of(box: Box, anisotropy: float, diameter: float) -> tuple[View, ...]:
    """The views of an annotated `box` that cells of `diameter` can be seen in.

    Those whose planes are at least a diameter wide and high; else those that come nearest to it. So a box one voxel
    thick is a plane of one orientation, and a stack of few planes is seen from above.

    >>> [view.axis for view in views_of(Box.of((1, 80, 80)), 1.0, 17.0)]
    [0]
    >>> [view.axis for view in views_of(Box.of((80, 1, 80)), 1.0, 17.0)]
    [1]
    """
    views = [View(box, axis, anisotropy) for axis in range(3)]
    least = min(diameter, max(min(view.shape) for view in views))
    return tuple(view for view in views if min(view.shape) >= least)
