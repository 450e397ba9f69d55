"""Synthetic volumes of densely packed, touching cells with exact truth: for tests, examples and training.

Cells are placed, warped and cut against one another in µm, then sampled at the voxels: long voxels make flat cells.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit
from scipy import ndimage

from bigcell.core.axes import Spacing
from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array, ArrayVolume

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """What the microscope makes of the cells. Levels are counts; lengths are parts of a cell's diameter.

    `body`: brightness inside. `rim`: brightness at the border, below `body` for dark seams, above for a membrane stain.
    `nucleus`: brightness of the nucleus in the cells channel, as a part of `body`.
    `texture`: contrast of the grain inside. `spread`: how much cells differ in brightness (sigma of the logarithm).
    `background`: level outside. `noise`: 1 is a usual camera, 0 none. `blur`: of the optics, `blur_z` times
    as wide in z. `haze`: the part of the light that is scattered half a cell wide.
    """

    body: float = 700.0
    rim: float = 250.0
    rim_width: float = 0.08
    nucleus: float = 0.6
    texture: float = 0.2
    spread: float = 0.25
    background: float = 100.0
    noise: float = 1.0
    blur: float = 0.03
    blur_z: float = 2.0
    haze: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise SettingsError(f"look: {name} is {value}; wanted a number from 0 upwards")


@dataclass(frozen=True)
class SyntheticVolume:
    """`image` uint16 ``(2, z, y, x)``: cells, nuclei. `labels` and `nuclei` uint32 ``(z, y, x)``: ids 1..n of whole
    cells, and the same ids where their nuclei are."""

    image: Array = field(repr=False)
    labels: Array = field(repr=False)
    nuclei: Array = field(repr=False)
    spacing: Spacing
    channels: tuple[str, ...] = ("cells", "nuclei")

    @property
    def volume(self) -> ArrayVolume:
        return ArrayVolume(self.image, spacing=self.spacing, channels=self.channels)


@dataclass(frozen=True)
class Tissue:
    """How cells are packed. `irregularity` 0 gives ellipsoids; `filled` is the part of the sites that hold a cell;
    `gap` is the room left between cells that would touch, as a part of the diameter; `variety` the spread of sizes."""

    irregularity: float = 0.5
    elongation: float = 1.3
    filled: float = 1.0
    gap: float = 0.0
    variety: float = 0.15

    def __post_init__(self) -> None:
        if not (0 <= self.irregularity <= 1 and self.elongation >= 1 and 0 < self.filled <= 1):
            raise SettingsError(f"{self}: wanted irregularity and filled from 0 to 1, elongation at least 1")
        if not (0 <= self.gap < 0.5 and 0 <= self.variety < 0.5):
            raise SettingsError(f"{self}: wanted gap and variety from 0 to below 0.5")


def sample_volume(
    extent: tuple[int, int, int],
    *,
    diameter: float = 20.0,
    spacing: Triple = (1.0, 1.0, 1.0),
    seed: int = 0,
    look: Look | None = None,
    tissue: Tissue | None = None,
) -> SyntheticVolume:
    """Cells of `diameter` (in voxels along x) filling `extent` (z, y, x) voxels of `spacing` (z, y, x) µm.

    The same arguments give the same voxels. An extent of one plane gives cross-sections of cells in 3-D.

    >>> sample = sample_volume((1, 48, 48), diameter=12)
    >>> sample.image.shape, sample.image.dtype, int(sample.labels.max()) > 8
    ((2, 1, 48, 48), dtype('uint16'), True)
    """
    if len(extent) != 3 or min(extent) < 1 or not diameter > 1:
        raise SettingsError(f"extent {extent}, diameter {diameter}: wanted three sizes from 1, and a diameter above 1")
    look, tissue, rng = look or Look(), tissue or Tissue(), np.random.default_rng(seed)
    um = diameter * spacing[2]
    labels, depth = _pack(extent, np.array(spacing), um, tissue, rng)
    nuclei = np.where(depth < rng.uniform(0.22, 0.34), labels, 0)
    image = _image(labels, nuclei, np.array(spacing) / um, look, rng)
    return SyntheticVolume(image, labels, nuclei.astype(np.uint32), Spacing(*spacing))


def _pack(
    extent: tuple[int, int, int], step: Array, um: float, tissue: Tissue, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Labels 1..n, and how deep each voxel lies in its cell: 0 at the centre, 1 on the ellipsoid's surface."""
    centres, forms = _sites(np.array(extent) * step, um, tissue, rng)
    warp = tissue.irregularity * 0.16 * um * _waves((3, *extent), step / um, 0.55, rng)
    labels, depth = np.zeros(extent, np.int32), np.full(extent, np.inf, np.float32)
    second = np.full(extent, np.inf, np.float32)
    _claim(centres, forms, step, warp, labels, depth, second)
    inside = depth < 1
    inside[inside] &= np.sqrt(second[inside]) - np.sqrt(depth[inside]) >= 2 * tissue.gap
    labels[~inside] = 0
    return _whole_cells(labels, um**3 / step.prod()), depth


def _sites(size: Array, um: float, tissue: Tissue, rng: np.random.Generator) -> tuple[Array, Array]:
    """Centres in µm, of a jittered body-centred lattice that reaches beyond the volume, and quadratic forms that are 1
    on each cell's surface."""
    pitch = um * 1.06
    thin = size < um  # along such an axis the lattice starts at a random phase, so that a plane cuts cells anywhere
    counts = np.ceil(size / pitch).astype(int) + 2
    grid = np.stack(np.meshgrid(*[np.arange(-1, n) for n in counts], indexing="ij"), -1).reshape(-1, 3)
    grid = np.concatenate([grid, grid + 0.5]) + rng.uniform(0, 0.5, 3) * thin
    centres = (grid + rng.uniform(-0.16, 0.16, grid.shape)) * pitch
    centres = centres[rng.random(len(centres)) < tissue.filled]
    n = len(centres)
    axes = np.exp(rng.uniform(-1, 1, (n, 3)) * np.log(tissue.elongation))
    axes *= (np.exp(rng.normal(0, tissue.variety, n)) / axes.prod(1) ** (1 / 3))[:, None] * um / 2
    turns, _ = np.linalg.qr(rng.normal(size=(n, 3, 3)))
    return centres, np.einsum("nij,nj,nkj->nik", turns, axes**-2, turns)


def _waves(shape: tuple[int, ...], step: Array, length: float, rng: np.random.Generator) -> Array:
    """Smooth noise of about unit size, float32; bumps are `length` apart where a voxel is `step` (z, y, x) long."""
    coarse = [max(2, int(np.ceil(n * s / length)) + 1) for n, s in zip(shape[-3:], step, strict=True)]
    field = rng.standard_normal((*shape[:-3], *coarse)).astype(np.float32)
    for axis, (n, s, m) in enumerate(zip(shape[-3:], step, coarse, strict=True), start=len(shape) - 3):
        at = np.minimum(np.arange(n) * s / length, m - 1.001)
        low = at.astype(int)
        w = ((at - low) ** 2 * (3 - 2 * (at - low))).astype(np.float32)
        w = w.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        field = field.take(low, axis) * (1 - w) + field.take(low + 1, axis) * w
    return field


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


def _whole_cells(labels: Array, cube: float) -> Array:
    """uint32 ids 1..n; each cell its largest connected piece, and none that is too small to be seen as a cell."""
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


def _image(labels: Array, nuclei: Array, step: Array, look: Look, rng: np.random.Generator) -> Array:
    """Both channels as the camera counts them, uint16. `step` is the voxel in diameters."""
    n = int(labels.max()) + 1
    bright = np.exp(rng.normal(0, look.spread, (2, n))).astype(np.float32)
    grain = _waves((2, *labels.shape), step, 0.12, rng)
    edge = _edge_distance(labels, step)
    rim = np.exp(-((edge / max(look.rim_width, 1e-6)) ** 2)).astype(np.float32)
    inside = np.where(nuclei > 0, look.nucleus, 1.0).astype(np.float32) * look.body * (1 + look.texture * grain[0])
    cells = np.where(labels > 0, (inside * (1 - rim) + look.rim * rim) * bright[0][labels], 0)
    chromatin = np.where(nuclei > 0, look.body * (1 + look.texture * grain[1]) * bright[1][nuclei], 0)
    return np.stack([_camera(signal, step, look, rng) for signal in (cells, chromatin)])


def _edge_distance(labels: Array, step: Array) -> Array:
    """How far each voxel is from the border of its cell, in diameters."""
    border = np.zeros(labels.shape, bool)
    for axis in range(3):
        here, there = np.moveaxis(labels, axis, 0), np.moveaxis(border, axis, 0)
        differ = here[1:] != here[:-1]
        there[1:] |= differ
        there[:-1] |= differ
    if not border.any():
        return np.full(labels.shape, np.inf, np.float32)
    return np.asarray(ndimage.distance_transform_edt(~border, sampling=step), np.float32)


def _camera(signal: Array, step: Array, look: Look, rng: np.random.Generator) -> Array:
    """Blur, uneven light, background, photon and read noise."""
    sigma = look.blur * np.array([look.blur_z, 1, 1]) / step
    sigma[0] *= signal.shape[0] > 1
    signal = signal.astype(np.float32)
    if look.haze:
        wide = ndimage.gaussian_filter(signal, sigma * 0.5 / max(look.blur, 1e-6), truncate=2)
        signal = signal + look.haze * (wide - signal)
    light = 1 + 0.1 * _waves(signal.shape, step, 6.0, rng)
    counts = ndimage.gaussian_filter(signal, sigma, truncate=3) * light + look.background
    counts = np.maximum(counts, 0)
    if look.noise:
        gain = 4.0 * look.noise**2  # counts per photon
        counts = rng.poisson(counts / gain) * np.float32(gain)
        counts += rng.standard_normal(counts.shape, dtype=np.float32) * np.float32(8.0 * look.noise)
    counts = np.clip(np.round(counts), 0, 65535)
    return np.asarray(counts, np.uint16)
