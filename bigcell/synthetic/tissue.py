"""Tissue: packed, warped ellipsoids that are cut against one another, in µm, then sampled at the voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy import ndimage

from bigcell.core.axes import Zyx
from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array
from bigcell.synthetic.look import check_ranges
from bigcell.synthetic.waves import waves


@dataclass(frozen=True)
class Tissue:
    """How cells are packed. `irregularity` 0 gives ellipsoids; `filled` is the part of the sites that hold a cell;
    `gap` is the room left between cells that would touch, as a part of the diameter; `variety` the spread of sizes;
    `patchy` from 0 to 1: how much denser cells lie in some places than in others."""

    irregularity: float = 0.5
    elongation: float = 1.3
    filled: float = 1.0
    gap: float = 0.0
    variety: float = 0.15
    patchy: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.irregularity <= 1 and 1 <= self.elongation <= 10 and 0 < self.filled <= 1):
            raise SettingsError(f"{self}: wanted irregularity and filled from 0 to 1, elongation from 1 to 10")
        if not (0 <= self.gap < 0.5 and 0 <= self.variety < 0.5):
            raise SettingsError(f"{self}: wanted gap and variety from 0 to below 0.5")
        check_ranges(self, patchy=(0, 1))


def pack(extent: Zyx, step: Array, um: float, tissue: Tissue, rng: np.random.Generator) -> tuple[Array, Array]:
    """Labels 1..n uint32, and how deep each voxel lies in its cell: 0 at the centre, 1 on the ellipsoid's surface.

    `step` is the size of a voxel (z, y, x) and `um` the diameter of a typical cell, both in µm.
    """
    centres, forms = _sites(np.array(extent) * step, um, tissue, rng)
    warp = tissue.irregularity * 0.16 * um * waves((3, *extent), step / um, 0.55, rng)
    labels, depth = np.zeros(extent, np.int32), np.full(extent, np.inf, np.float32)
    second = np.full(extent, np.inf, np.float32)
    _claim(centres, forms, step, warp, labels, depth, second)
    inside = depth < 1
    inside[inside] &= np.sqrt(second[inside]) - np.sqrt(depth[inside]) >= 2 * tissue.gap
    labels[~inside] = 0
    return whole_cells(labels, um**3 / step.prod()), depth


def whole_cells(labels: Array, cube: float) -> Array:
    """uint32 ids 1..n; each cell its largest connected piece, and none that is too small to be seen as a cell: below
    four parts in a hundred of `cube`, the voxels of a cube as wide as a cell."""
    least = 0.04 * cube if labels.shape[0] > 1 else 0.04 * cube ** (2 / 3)
    out, n = np.zeros(labels.shape, np.uint32), 0
    for i, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        pieces, count = ndimage.label(labels[box] == i)
        sizes = np.bincount(pieces.ravel())[1:]
        if count and sizes.max() >= least:
            n += 1
            out[box][pieces == 1 + sizes.argmax()] = n
    return out


def _sites(size: Array, um: float, tissue: Tissue, rng: np.random.Generator) -> tuple[Array, Array]:
    """Centres in µm, of a jittered body-centred lattice that reaches beyond the volume, and quadratic forms that are 1
    on each cell's surface."""
    pitch = um * 1.06
    thin = size < um  # along such an axis the lattice starts at a random phase, so that a plane cuts cells anywhere
    counts = np.ceil(size / pitch).astype(int) + 2
    grid = np.stack(np.meshgrid(*[np.arange(-1, n) for n in counts], indexing="ij"), -1).reshape(-1, 3)
    grid = np.concatenate([grid, grid + 0.5]) + rng.uniform(0, 0.5, 3) * thin
    centres = (grid + rng.uniform(-0.16, 0.16, grid.shape)) * pitch
    chances = tissue.filled * _crowding(centres / um, tissue.patchy, rng.spawn(1)[0])
    centres = centres[rng.random(len(centres)) < chances]
    n = len(centres)
    axes = np.exp(rng.uniform(-1, 1, (n, 3)) * np.log(tissue.elongation))
    axes *= (np.exp(rng.normal(0, tissue.variety, n)) / axes.prod(1) ** (1 / 3))[:, None] * um / 2
    turns, _ = np.linalg.qr(rng.normal(size=(n, 3, 3)))
    return centres, np.einsum("nij,nj,nkj->nik", turns, axes**-2, turns)


def _crowding(at: Array, patchy: float, rng: np.random.Generator) -> Array:
    """How likely a cell is at each of the places `at` (n, 3), in diameters: around 1, by a sum of a few long waves."""
    ways = rng.normal(size=(4, 3)) / np.array(((8.0,), (12.0,), (16.0,), (24.0,)))
    swing = np.sin(at @ ways.T * 2 * np.pi + rng.uniform(0, 2 * np.pi, 4)).sum(1) / 2
    return np.asarray(1 + patchy * swing)


@njit(cache=True, nogil=True)
def _claim(centres, forms, step, warp, labels, depth, second):  # type: ignore[no-untyped-def]
    """Give each voxel to the cell it lies deepest in; `second` is how deep it lies in the next one."""
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for i in range(len(centres)):
        inverse = np.linalg.inv(forms[i])
        for a in range(3):
            reach = 1.15 * np.sqrt(inverse[a, a]) + 0.5 * np.max(np.sqrt(np.diag(inverse)))
            low[a] = max(0, int(np.floor((centres[i, a] - reach) / step[a])))
            high[a] = min(labels.shape[a], int(np.ceil((centres[i, a] + reach) / step[a])) + 1)
        m = forms[i]
        for z in range(low[0], high[0]):
            for y in range(low[1], high[1]):
                for x in range(low[2], high[2]):
                    p = (z + 0.5) * step[0] - centres[i, 0] + warp[0, z, y, x]
                    q = (y + 0.5) * step[1] - centres[i, 1] + warp[1, z, y, x]
                    r = (x + 0.5) * step[2] - centres[i, 2] + warp[2, z, y, x]
                    d = m[0, 0] * p * p + m[1, 1] * q * q + m[2, 2] * r * r
                    d += 2 * (m[0, 1] * p * q + m[0, 2] * p * r + m[1, 2] * q * r)
                    if d < depth[z, y, x]:
                        second[z, y, x] = depth[z, y, x]
                        depth[z, y, x] = d
                        labels[z, y, x] = i + 1
                    elif d < second[z, y, x]:
                        second[z, y, x] = d
