"""Synthetic flow fields of any size, made box by box: touching cells on a jittered lattice, with known truth.

Any box can be made on its own and equals the same voxels of a larger one, so a volume of any size can be written
block by block. This is what stands in for a network in tests of seams, memory and scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from bigcell.core.box import Box
from bigcell.core.volume import Array


@dataclass(frozen=True)
class FlowLattice:
    """Cells over a volume of any size, in Cellpose's convention of flows, made box by box.

    Parameters
    ----------
    extent
        Voxels along (z, y, x).
    diameter
        Size of a cell in voxels.
    jitter
        How far centres stray, as a share of `diameter`.
    noise
        How far flows stray from straight to the centre (1: as much as the flow itself).
    fill
        A voxel further than ``fill * diameter`` from its centre is background; 0.5 leaves gaps, from 0.8 on the cells
        touch everywhere.
    seed
        Another number makes other cells.
    """

    extent: tuple[int, int, int]
    diameter: float = 16.0
    jitter: float = 0.25
    noise: float = 0.3
    fill: float = 0.6
    seed: int = 0

    def read(self, box: Box) -> Array:
        """Flows of `box`: (4, *box) float32, dz, dy, dx five times unit length and the logit."""
        return self._make(box)[0]

    def truth(self, box: Box) -> Array:
        """The cell of each voxel of `box`, int64, 0 in the background; ids are not consecutive."""
        return self._make(box)[1]

    def _make(self, box: Box) -> tuple[Array, Array]:
        flows = np.zeros((4, *box.shape), np.float32)
        cells = np.zeros(box.shape, np.int64)
        shape = (self.diameter, self.jitter, self.noise, self.fill)
        _fill(np.array(box.start), np.array(self.extent), shape, np.uint64(self.seed), (flows, cells))
        return flows, cells


@njit(cache=True, nogil=True)
def _random(a, b, c, k, seed):  # type: ignore[no-untyped-def]
    """A number in [0, 1) that is a pure function of its arguments (splitmix64)."""
    h = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
    for part in (a, b, c, k):
        h ^= np.uint64(part + 1000003)
        h *= np.uint64(0xBF58476D1CE4E5B9)
        h ^= h >> np.uint64(29)
        h *= np.uint64(0x94D049BB133111EB)
        h ^= h >> np.uint64(32)
    return np.float64(h >> np.uint64(11)) / 9007199254740992.0


@njit(cache=True, nogil=True)
def _centre(i, axis, key, extent, shape, seed):  # type: ignore[no-untyped-def]
    """Coordinate along `axis` of the centre of the cell at lattice place `i`; a single plane has its centres in it."""
    if extent[axis] == 1:
        return 0.0
    return (i + 0.5 + shape[1] * (2 * _random(key[0], key[1], key[2], axis, seed) - 1)) * shape[0]


@njit(cache=True, nogil=True)
def _fill(origin, extent, shape, seed, out):  # type: ignore[no-untyped-def]
    flows, cells = out
    diameter, _, noise, fill = shape
    Z, Y, X = cells.shape  # noqa: N806
    d = np.empty(3)
    for z in range(Z):
        for y in range(Y):
            for x in range(X):
                p = (z + origin[0], y + origin[1], x + origin[2])
                g = (int(p[0] // diameter), int(p[1] // diameter), int(p[2] // diameter))
                best, cell = 1e30, 0
                for a in range(g[0] - 1, g[0] + 2):
                    if extent[0] == 1 and a != 0:
                        continue
                    for b in range(g[1] - 1, g[1] + 2):
                        for c in range(g[2] - 1, g[2] + 2):
                            key = (a, b, c)
                            ez = _centre(a, 0, key, extent, shape, seed) - p[0]
                            ey = _centre(b, 1, key, extent, shape, seed) - p[1]
                            ex = _centre(c, 2, key, extent, shape, seed) - p[2]
                            r = ez * ez + ey * ey + ex * ex
                            if r < best:
                                best, cell = r, 1 + (a + 2) + 100003 * ((b + 2) + 100003 * (c + 2))
                                d[0], d[1], d[2] = ez, ey, ex
                r = np.sqrt(best)
                flows[3, z, y, x] = 12 * (fill - r / diameter)
                if r >= fill * diameter:
                    continue
                cells[z, y, x] = cell
                for axis in range(3):
                    if extent[axis] > 1:
                        straight = d[axis] / max(r, 1.0)
                        stray = 2 * _random(p[0] // 3, p[1] // 3, p[2] // 3, axis + 7, seed) - 1
                        flows[axis, z, y, x] = 5 * (straight + noise * stray)
