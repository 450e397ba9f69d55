"""How far the voxels of each block went, and which blocks can therefore have to do with a box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.tiling.grid import BlockGrid


@dataclass(frozen=True)
class DisplacementBounds:
    """`ways` (blocks,) int32: the furthest that a voxel of each block went along an axis, in voxels. In a `planar`
    volume none left its plane."""

    grid: BlockGrid
    ways: Array
    furthest: int
    planar: bool = False

    @classmethod
    def of(cls, grid: BlockGrid, ways: Array, *, planar: bool = False) -> DisplacementBounds:
        return cls(grid, ways, int(ways.max(initial=0)), planar)

    def way(self, block: int) -> tuple[int, ...]:
        """How far voxels of a block went at most, along each axis."""
        return self._along_axes(int(self.ways[block]))

    def _along_axes(self, way: int) -> tuple[int, ...]:
        return (0 if self.planar else way, *[way] * (len(self.grid.extent) - 1))

    def blocks_into(self, box: Box) -> tuple[int, ...]:
        """The blocks that hold a voxel whose path may end in `box`, ascending.

        >>> reach = DisplacementBounds.of(BlockGrid((1, 1, 40), (1, 1, 10)), np.array([5, 11, 0, 0]))
        >>> reach.blocks_into(Box((0, 0, 30), (1, 1, 40)))
        (1, 3)
        """
        near = box.grow(self._along_axes(self.furthest)) & Box.of(self.grid.extent)
        if near.is_empty:
            return ()
        wanted, number = np.zeros((), np.int64), np.zeros((), np.int64)
        for axis, (size, count) in enumerate(zip(self.grid.shape, self.grid.counts, strict=True)):
            places = np.arange(near.start[axis] // size, -(-near.stop[axis] // size))
            first = places * size
            last = np.minimum(first + size, self.grid.extent[axis])
            away = np.maximum(first - box.stop[axis], box.start[axis] - last) + 1  # how far a voxel must have come
            if self.planar and axis == 0:
                away[:] = 0  # all of these meet the box, and from others none comes
            wanted = np.maximum(wanted[..., None], away)
            number = number[..., None] * count + places
        return tuple(number[self.ways[number] >= wanted].tolist())
