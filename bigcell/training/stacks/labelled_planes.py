"""What a network is trained on: labelled planes, and batches of crops of them with their flows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bigcell.core.errors import InputError
from bigcell.core.sizes import typical_size
from bigcell.core.volume import Array


@dataclass(frozen=True)
class Example:
    """One labelled plane: `image` float32 ``(c, y, x)`` with the channels of its source, 1 to 3 (what to segment;
    nuclei), `labels` int32 ``(y, x)``, `diameter` of its cells in pixels. `invertible`: light and dark may be swapped
    (bright field, phase contrast). `name`: where it comes from."""

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
