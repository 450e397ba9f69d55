"""Colours: contrast of channels, one hue per channel, one colour per object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from bigcell.core.volume import Array

GREY = (1.0, 1.0, 1.0)
# green, magenta, then those that mix with both: readable to most colour-blind eyes as a pair
CHANNELS = ((0.2, 1.0, 0.35), (1.0, 0.25, 0.95), (0.25, 0.7, 1.0), (1.0, 0.8, 0.15), (1.0, 0.35, 0.3), (0.4, 1.0, 0.95))
LOW, HIGH = 1.0, 99.7  # percentiles that become black and full colour


def channel_colours(count: int) -> tuple[tuple[float, float, float], ...]:
    """An RGB colour per channel, 0..1: grey for a single one.

    >>> channel_colours(1)
    ((1.0, 1.0, 1.0),)
    """
    return (GREY,) if count == 1 else tuple(CHANNELS[i % len(CHANNELS)] for i in range(count))


def window(values: Array) -> tuple[float, float]:
    """Intensities that are shown black and full: percentiles 1 and 99.7 of the finite, non-constant `values`.

    Zero is left out where it is the commonest value and more than a fifth of the voxels: it is then the margin of
    a stitched or rotated image, not signal.

    >>> window(np.arange(1001))
    (10.0, 997.0)
    """
    flat = np.asarray(values).ravel()
    flat = flat[np.isfinite(flat)] if flat.dtype.kind == "f" else flat
    signal = flat[flat != 0]
    if 0 < signal.size < 0.8 * flat.size and signal.min() < signal.max():
        flat = signal
    if not flat.size:
        return (0.0, 1.0)
    low, high = (float(v) for v in np.percentile(flat, (LOW, HIGH)))
    if high <= low:
        low, high = float(flat.min()), float(flat.max())
    return (low, high) if high > low else (low, low + 1.0)


def stretch(images: Sequence[Array]) -> Array:
    """Windows of all channels over `images`, each (channel, rows, columns): array (channel, 2)."""
    channels = range(len(images[0]))
    return np.array([window(np.concatenate([i[c].ravel() for i in images])) for c in channels])


def blend(image: Array, limits: Array, shape: tuple[int, int]) -> Array:
    """Channels ``(channel, rows, columns)`` added up in their colours and resampled to `shape`: RGB 0..1."""
    picture = np.zeros((*shape, 3), np.float32)
    for values, (low, high), colour in zip(image, limits, channel_colours(len(image)), strict=True):
        grey = np.clip((resample(values, shape, order=1) - low) / (high - low), 0, 1)
        picture += grey[..., None] * np.asarray(colour, np.float32)
    return np.minimum(picture, 1)


def resample(plane: Array, shape: tuple[int, int], *, order: int) -> Array:
    """`plane` (rows, columns) on a grid of `shape` over the same area: nearest (order 0) or linear (order 1).

    >>> resample(np.array([[1, 2]]), (2, 4), order=0)
    array([[1, 1, 2, 2],
           [1, 1, 2, 2]])
    """
    at = [(np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(shape, plane.shape, strict=True)]
    if order == 0:
        rows, columns = (np.clip(np.rint(a), 0, m - 1).astype(int) for a, m in zip(at, plane.shape, strict=True))
        return np.asarray(plane[rows[:, None], columns])
    grid = np.meshgrid(*at, indexing="ij")
    return np.asarray(ndimage.map_coordinates(plane.astype(np.float32), grid, order=1, mode="nearest"))


def object_colours(ids: Array) -> Array:
    """A vivid RGB colour (0..1) for every id, the same wherever the id is met; neighbouring numbers lie far apart.

    >>> object_colours(np.array([1, 2])).shape
    (2, 3)
    """
    hue = (np.asarray(ids, np.uint64).astype(np.float64) * 0.6180339887498949) % 1.0
    fade = 0.25 + 0.35 * ((np.asarray(ids, np.uint64) % np.uint64(3)).astype(np.float64) / 2)
    wheel = np.abs((hue[..., None] * 6 + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1
    return np.asarray(1 - (1 - fade[..., None]) * (1 - np.clip(wheel, 0, 1)), np.float32)


def outlines(picture: Array, labels: Array, *, width: int = 2) -> Array:
    """`picture` (rows, columns, 3) with every object of `labels` outlined, `width` pixels inside its border.

    `labels` may be coarser than the picture: the outline follows their voxels exactly.
    """
    grid = resample(labels, picture.shape[:2], order=0)
    inner = np.ones(grid.shape, bool)
    padded = np.pad(grid, width, mode="edge")
    rows, columns = grid.shape
    for dy in range(-width, width + 1):
        for dx in range(-width, width + 1):
            if abs(dx) + abs(dy) <= width:
                inner &= padded[width + dy : width + dy + rows, width + dx : width + dx + columns] == grid
    edge = (grid != 0) & ~inner
    drawn = picture.copy()
    drawn[edge] = object_colours(grid[edge])
    return drawn


def hex_colour(colour: Sequence[float]) -> str:
    """A colour as the web writes it.

    >>> hex_colour((1.0, 0.25, 0.0))
    '#ff4000'
    """
    return "#" + "".join(f"{round(255 * c):02x}" for c in colour)
