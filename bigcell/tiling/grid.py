"""BlockGrid: the arrangement of blocks over one extent. A block is a unit of work; a number names it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import numpy as np

from bigcell.core.box import Box
from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array


@dataclass(frozen=True)
class BlockGrid:
    """Blocks of `shape` (the last ones clipped) over `extent`, numbered in raster order.

    >>> grid = BlockGrid((4, 10), (4, 4))
    >>> len(grid), grid.core(2)
    (3, Box(start=(0, 8), stop=(4, 10)))
    """

    extent: tuple[int, ...]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.extent) or any(n < 1 for n in self.shape):
            raise SettingsError(f"block {self.shape} over extent {self.extent}: wanted one positive length per axis")

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Blocks along each axis."""
        return tuple(-(-n // s) for n, s in zip(self.extent, self.shape, strict=True))

    def __len__(self) -> int:
        return prod(self.counts)

    def index(self, number: int) -> tuple[int, ...]:
        """The position of block `number` in the grid."""
        return tuple(int(i) for i in np.unravel_index(number, self.counts))

    def core(self, number: int) -> Box:
        """The voxels that block `number` owns; the cores tile the extent once."""
        start = tuple(i * s for i, s in zip(self.index(number), self.shape, strict=True))
        return Box(start, tuple(min(a + s, n) for a, s, n in zip(start, self.shape, self.extent, strict=True)))

    @property
    def sizes(self) -> Array:
        """Voxels of each block, (n,) int64."""
        total = np.ones(1, np.int64)
        for n, s, count in zip(self.extent, self.shape, self.counts, strict=True):
            sides = np.full(count, s, np.int64)
            sides[-1] = n - (count - 1) * s
            total = np.multiply.outer(total, sides).ravel()
        return total

    def touching(self, box: Box) -> Iterator[int]:
        """The numbers of the blocks whose cores meet `box`, ascending."""
        box = box & Box.of(self.extent)
        if box.is_empty:
            return
        ranges = [range(a // s, -(-b // s)) for a, b, s in zip(box.start, box.stop, self.shape, strict=True)]
        strides = self._strides
        for index in product(*ranges):
            yield sum(i * s for i, s in zip(index, strides, strict=True))

    def owners(self, points: Sequence[Array]) -> Array:
        """The number of the block that holds each point, given as one integer array per axis."""
        total = np.zeros(np.shape(points[0]), np.int64)
        for p, size, stride in zip(points, self.shape, self._strides, strict=True):
            total += p // size * stride
        return total

    @cached_property
    def _strides(self) -> tuple[int, ...]:
        return tuple(prod(self.counts[i + 1 :]) for i in range(len(self.counts)))

    @cached_property
    def layer_axis(self) -> int:
        """The first axis that is longer than one voxel: raster order of voxels runs along it."""
        return next((i for i, n in enumerate(self.extent) if n > 1), 0)

    @cached_property
    def layers(self) -> tuple[range, ...]:
        """The blocks of each layer: raster order has them one after the other."""
        each = self._strides[self.layer_axis]
        return tuple(range(i, i + each) for i in range(0, len(self), each))

    def layer(self, number: int) -> int:
        """The layer of block `number`: its place along `layer_axis`."""
        return self.index(number)[self.layer_axis]
