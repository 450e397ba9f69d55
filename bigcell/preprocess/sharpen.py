"""Smoothing and sharpening of planes: a Gaussian, or its difference to a wider one, cut off at four sigma.

Every voxel of the result is a sum in fixed order over its own neighbourhood, so a window with enough halo gives the
bits that the whole volume gives. At the volume's border the image is mirrored (Cellpose wraps it round).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bigcell.core.volume import Array


def reach(sharpen_radius: float, smooth_radius: float) -> int:
    """How many voxels in y and x a filtered voxel depends on, to each side.

    >>> reach(12, 3), reach(0, 0)
    (48, 0)
    """
    return int(4 * max(sharpen_radius, smooth_radius) + 0.5)


def smooth_sharpen(image: Array, *, sharpen_radius: float = 0.0, smooth_radius: float = 0.0) -> Array:
    """`image` (..., y, x) as float32, plane by plane: smoothed with sigma `smooth_radius`, less its surround.

    The surround is the image smoothed with sigma `sharpen_radius`; a radius of 0 leaves that part out. Both have gain 1
    for constant images, so a sharpened constant is 0.

    >>> spot = np.zeros((1, 1, 5)); spot[..., 2] = 80
    >>> smooth_sharpen(spot, smooth_radius=0.5).astype(int).tolist()
    [[[0, 8, 62, 8, 0]]]
    """
    planes = image.reshape(-1, *image.shape[-2:])
    out = np.empty(planes.shape, np.float32)
    inner, outer = _taps(smooth_radius), _taps(sharpen_radius)
    for plane, result in zip(planes, out, strict=True):
        values = plane.astype(np.float32).astype(np.float64)
        kept = _blur(values, inner)
        result[...] = kept - _blur(values, outer) if sharpen_radius > 0 else kept
    return out.reshape(image.shape)


def _taps(sigma: float) -> Array:
    """Half of the kernel, from the centre outwards."""
    if sigma <= 0:
        return np.ones(1)
    half = np.exp(-0.5 * (np.arange(int(4 * sigma + 0.5) + 1) / sigma) ** 2)
    taps: Array = half / (2 * half.sum() - half[0])
    return taps


def _blur(plane: Array, taps: Array) -> Array:
    """`plane` (y, x) float64, smoothed along both axes."""
    if len(taps) == 1:
        return plane
    reach = len(taps) - 1
    rows = _along_columns(np.pad(plane, ((reach, reach), (0, 0)), "symmetric"), taps)
    blurred: Array = _along_rows(rows, taps)
    return blurred


@njit(cache=True, nogil=True)
def _along_columns(padded, taps):  # type: ignore[no-untyped-def]
    reach = len(taps) - 1
    out = np.empty((padded.shape[0] - 2 * reach, padded.shape[1]))
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = padded[y + reach, x] * taps[0]
        for k in range(1, len(taps)):
            for x in range(out.shape[1]):
                out[y, x] += (padded[y + reach - k, x] + padded[y + reach + k, x]) * taps[k]
    return out


@njit(cache=True, nogil=True)
def _along_rows(plane, taps):  # type: ignore[no-untyped-def]
    reach, n = len(taps) - 1, plane.shape[1]
    out = np.empty(plane.shape)
    line = np.empty(n + 2 * reach)
    for y in range(plane.shape[0]):
        for x in range(n + 2 * reach):
            line[x] = plane[y, _mirrored(x - reach, n)]
        for x in range(n):
            out[y, x] = line[x + reach] * taps[0]
        for k in range(1, len(taps)):
            for x in range(n):
                out[y, x] += (line[x + reach - k] + line[x + reach + k]) * taps[k]
    return out


@njit(cache=True, inline="always")
def _mirrored(x, n):  # type: ignore[no-untyped-def]
    """Where voxel `x` beyond an axis of `n` lies when the axis is mirrored at its ends, border voxels repeated."""
    x = x % (2 * n)
    return x if x < n else 2 * n - 1 - x
