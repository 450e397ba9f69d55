"""What a network is trained on: labelled planes, and random crops of them with their flows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.flows.from_labels import unit_flows
from bigcell.training.augment import Augmentation, disturb
from bigcell.training.facts import typical_size
from bigcell.training.placement import offset_of, random_turn


@dataclass(frozen=True)
class Example:
    """One labelled plane: `image` float32 ``(2, y, x)`` (what to segment; nuclei or 0), `labels` int32 ``(y, x)``,
    `diameter` of its cells in pixels. `invertible`: light and dark may be swapped (bright field, phase contrast).
    Those of a `Source` have its channels, 1 to 3. `name`: where it comes from."""

    image: Array = field(repr=False)
    labels: Array = field(repr=False)
    diameter: float
    invertible: bool = False
    name: str = ""


@dataclass(frozen=True)
class Batch:
    """float32: `image` ``(n, c, h, w)``; `flows` ``(n, 2, h, w)``, unit vectors; `inside` ``(n, h, w)``, 0 or 1.

    `known` ``(n, h, w)`` bool, where only a part is annotated: a loss is to be the mean over these pixels alone.
    `seeds` (n,) int64, where `Augmentation.intensity` is left to the device that trains: see `augment_batch`.
    """

    image: Array
    flows: Array
    inside: Array
    known: Array | None = None
    seeds: Array | None = None


def normalised(image: Array) -> Array:
    """Each channel of `image` (channel, ...) float32, with its 1st and 99th percentile at 0 and 1; flat ones at 0."""
    out = np.zeros(image.shape, np.float32)
    for i, channel in enumerate(image):
        low, high = np.percentile(channel, (1, 99))
        if high > low:
            out[i] = (channel - np.float32(low)) / np.float32(high - low)
    return out


def mean_diameter(labels: Array) -> float:
    """Median diameter of the discs (one plane) or balls (several) as large as each cell of `labels` (z, y, x)."""
    sizes = np.bincount(np.unique(labels, return_inverse=True)[1].ravel())[int((labels == 0).any()) :]
    if sizes.size == 0:
        raise InputError("these labels hold no cell; wanted at least one")
    return typical_size(sizes, flat=labels.shape[0] == 1)


def examples_of_stack(image: Array, labels: Array, *, anisotropy: float = 1.0, every: int = 3) -> list[Example]:
    """Every `every`-th plane of all three views of a stack, resampled along z to cubic voxels.

    `image` is ``(channel, z, y, x)`` with one or two channels, `labels` integers ``(z, y, x)``. Planes where less than
    two parts in a hundred are cells are left out.
    """
    image = _two_channels(normalised(image))
    labels = labels.astype(np.int32)
    if labels.shape[0] > 1 and anisotropy != 1:
        image = np.stack([ndimage.zoom(c, (anisotropy, 1, 1), order=1) for c in image])
        labels = ndimage.zoom(labels, (anisotropy, 1, 1), order=0)
    diameter = mean_diameter(labels)
    found = []
    for axis in range(3 if labels.shape[0] > 1 else 1):
        for i in range(every // 2 if labels.shape[axis] > 1 else 0, labels.shape[axis], every):
            plane = labels.take(i, axis)
            if (plane > 0).mean() > 0.02:
                found.append(Example(image.take(i, axis + 1), plane, diameter))
    return found


def example_of_plane(image: Array, labels: Array, *, invertible: bool = False, largest: float = 34.0) -> Example:
    """One 2-D image ``(channel, y, x)`` with its `labels` (y, x). Cells wider than `largest` are brought down to it, by
    averaging, once and for all."""
    labels = labels.astype(np.int32)
    image, diameter = _two_channels(normalised(image)), mean_diameter(labels[None])
    factor = largest / diameter
    if factor < 1:
        soft = [ndimage.gaussian_filter(c, 0.5 / factor) for c in image]
        image = np.stack([ndimage.zoom(c, factor, order=1) for c in soft])
        labels = ndimage.zoom(labels, factor, order=0)
        diameter = largest
    return Example(image, labels, diameter, invertible)


def _two_channels(image: Array) -> Array:
    if len(image) > 2:
        raise InputError(f"found {len(image)} channels; wanted one to segment, and at most one of nuclei")
    return image if len(image) == 2 else np.concatenate([image, np.zeros_like(image)])


def draw_batch(
    examples: Sequence[Example], weights: Array, settings: Augmentation, size: int, rng: np.random.Generator
) -> Batch:
    """`size` random crops; an example comes up in proportion to its entry in `weights`."""
    chosen = rng.choice(len(examples), size, p=weights / weights.sum())
    crops = [_crop(examples[i], settings, rng) for i in chosen]
    return Batch(*(np.stack(part) for part in zip(*crops, strict=True)))


def _crop(example: Example, settings: Augmentation, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """A random turned, scaled and disturbed piece of `example`: image, flows, inside.

    Flows are made from the turned labels, with a margin, so that vectors are exact and cells cut by the crop keep their
    centres.
    """
    wide = settings.crop + 2 * settings.margin
    matrix, offset = _placement(example, settings, wide, rng)
    image = np.stack([ndimage.affine_transform(c, matrix, offset, (wide, wide), order=1) for c in example.image])
    labels = ndimage.affine_transform(example.labels, matrix, offset, (wide, wide), order=0)
    flows = unit_flows(labels[None])[1:, 0]
    m = slice(settings.margin, settings.margin + settings.crop)
    image = disturb(image[:, m, m], settings, rng, invertible=example.invertible)
    return image, flows[:, m, m], (labels[m, m] > 0).astype(np.float32)


def _placement(example: Example, settings: Augmentation, wide: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Matrix and offset from places in the crop to places in the image: turn, flip and scale, at a random pixel."""
    matrix, scale = random_turn(example.diameter, settings, rng)
    shape = example.labels.shape
    centre: Array = rng.uniform(np.zeros(2), shape)
    if rng.random() < settings.on_cells:
        inside = np.flatnonzero(example.labels)
        if inside.size:
            centre = np.array(np.unravel_index(inside[rng.integers(inside.size)], shape), float)
    return matrix, offset_of(centre, matrix, wide, scale=scale, crop=settings.crop, shape=shape)
