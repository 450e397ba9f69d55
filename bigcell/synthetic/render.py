"""Labelled cells become an image: dye, optics, light, camera, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from bigcell.core.axes import Spacing
from bigcell.core.errors import InputError
from bigcell.core.sizes import typical_size
from bigcell.core.volume import Array
from bigcell.synthetic.camera import add_debris_into, background, recorded, way_of_light
from bigcell.synthetic.lens import in_phase_contrast, scattered, widths
from bigcell.synthetic.look import Look, Stain
from bigcell.synthetic.nuclei import edge_distance, place_nuclei
from bigcell.synthetic.waves import waves

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """What is imaged: ids of `labels` and `nuclei` (z, y, x); a voxel (z, y, x) is `step` diameters, one of `um` µm."""

    labels: Array = field(repr=False)
    nuclei: Array = field(repr=False)
    step: Array
    um: float


def render(
    labels: Array,
    spacing: Spacing | Triple = (1.0, 1.0, 1.0),
    look: Look | None = None,
    seed: int = 0,
    nuclei: Array | None = None,
) -> Array:
    """An image uint16 of any labelled cells, ``(channel, *labels.shape)``: those of `look`, cells and nuclei.

    `labels` are integers (z, y, x) or (y, x), 0 outside; ids may have gaps. `spacing` is the size of a voxel (z, y, x)
    in µm. `nuclei` (any ids) has the shape of `labels`; without it, each cell gets a nucleus of its own. Lengths of the
    look are parts of the median diameter of the cells given. The same arguments give the same voxels. A single plane
    shows no light from above and below but that of `Backdrop.glow`. Raises InputError for labels without a cell.

    >>> cells = np.kron(np.array([[1, 2], [0, 3]]), np.ones((12, 12), int))
    >>> render(cells).shape, render(cells).dtype
    ((2, 24, 24), dtype('uint16'))
    """
    look, rng = look or Look(), np.random.default_rng(seed)
    _check(labels, "labels")
    ids = _numbered(labels)
    if not ids.any():
        raise InputError(f"labels of shape {labels.shape} hold no cell; wanted at least one id above 0")
    size = np.array(spacing.zyx if isinstance(spacing, Spacing) else Spacing(*spacing).zyx)
    um = typical_um(ids, size)
    if nuclei is None:
        inner = place_nuclei(ids, size / um, rng)
    else:
        _check(nuclei, "nuclei")
        if nuclei.shape != labels.shape:
            raise InputError(f"labels of shape {labels.shape} and nuclei of {nuclei.shape}; wanted the same voxels")
        inner = _numbered(nuclei)
    image = photograph(Scene(ids, inner, size / um, um), look, rng)
    return image.reshape(len(image), *labels.shape)


def typical_um(labels: Array, size: Array) -> float:
    """Median diameter in µm of the discs (one plane) or balls as large as each cell of `labels` (z, y, x) 1..n, where
    a voxel is `size` (z, y, x) µm."""
    voxels = np.bincount(labels.ravel())[1:]
    voxels = voxels[voxels > 0]
    flat = labels.shape[0] == 1
    return typical_size(voxels * size[flat:].prod(), flat=flat)


def photograph(scene: Scene, look: Look, rng: np.random.Generator, *, plane: int | None = None) -> Array:
    """uint16 ``(channel, z, y, x)``; only `plane` of it where one is given, lit by those above and below."""
    count = 1 + int(max(scene.labels.max(initial=0), scene.nuclei.max(initial=0)))
    stains = (look.cells, look.nuclei)
    drawn = [stain or Stain() for stain in stains]  # a channel left out draws as the others do, and changes none
    bright = [np.exp(rng.normal(0, stain.spread, count)).astype(np.float32) for stain in drawn]
    grain = [waves(scene.labels.shape, scene.step, stain.grain, rng) for stain in drawn]
    image = []
    for stain, ids, light, texture in zip(stains, (scene.labels, scene.nuclei), bright, grain, strict=True):
        own = rng.spawn(1)[0]  # what is new draws from here, so that old looks go on giving the same voxels
        if stain is not None:
            signal = dyed(ids, scene, stain, light, texture)
            add_debris_into(signal, scene.step, look.backdrop, stain.brightest, own)
            image.append(_seen(signal, scene, look, (rng, own), plane))
    return np.stack(image)


def dyed(ids: Array, scene: Scene, stain: Stain, bright: Array, grain: Array) -> Array:
    """Where the dye is, float32 (z, y, x): `bright` for each id, `grain` for each voxel."""
    inside = (
        np.where(scene.nuclei > 0, stain.nucleus, 1.0).astype(np.float32) * stain.body * (1 + stain.texture * grain)
    )
    if stain.rim is not None:
        edge = edge_distance(ids, scene.step)
        rim = np.exp(-((edge / max(stain.rim_width, 1e-6)) ** 2)).astype(np.float32)
        inside = inside * (1 - rim) + stain.rim * rim
    return np.asarray(np.where(ids > 0, inside * bright[ids], 0), np.float32)


def _seen(
    signal: Array, scene: Scene, look: Look, draw: tuple[np.random.Generator, np.random.Generator], plane: int | None
) -> Array:
    """`signal` through optics, light and camera."""
    sigma = widths(look.optics, scene.step, scene.um, len(signal))
    signal = scattered(signal, sigma, scene.step, look.optics)
    counts = ndimage.gaussian_filter(signal, sigma, truncate=3)
    counts = counts if plane is None else counts[plane : plane + 1]
    light = way_of_light(counts.shape, scene.step, look.light, *draw)
    if look.phase is not None:
        counts = in_phase_contrast(counts, scene.step, look.phase)
    counts = counts * light + background(counts.shape, scene.step, look.backdrop, draw[1])
    return recorded(counts, look.camera, *draw)


def _check(labels: Array, name: str) -> None:
    if labels.ndim not in (2, 3) or labels.size == 0 or labels.dtype.kind not in "iu":
        raise InputError(f"{name} are {labels.dtype} of shape {labels.shape}; wanted integers (z, y, x) or (y, x)")
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise InputError(f"{name} hold the id {labels.min()}; wanted 0 outside and ids above it")


def _numbered(labels: Array) -> Array:
    """`labels` as uint32 (z, y, x) with ids 1..n, in their order."""
    ids, index = np.unique(labels, return_inverse=True)
    numbers = np.cumsum(ids > 0).astype(np.uint32)
    return numbers[index].reshape((1,) * (3 - labels.ndim) + labels.shape)
