"""Gaussian smoothing of stored integer flows, the same bits in any window."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from bigcell.core.box import Box
from bigcell.core.volume import Array

TRUNCATE = 4.0
"""Sigmas after which the kernel ends."""


def smoothing_window(window: Box, extent: tuple[int, ...], sigma: tuple[float, float, float]) -> Box:
    """The voxels that decide the smoothed flows in `window`: grown by 4 sigma, within the volume.

    >>> smoothing_window(Box((0, 10, 10), (4, 20, 20)), (4, 100, 100), (1, 1, 0))
    Box(start=(0, 6, 10), stop=(4, 24, 20))
    """
    return window.grow(tuple(_radius(s) for s in sigma)) & Box.of(extent)


def smooth_flows(flows: Array, source: Box, window: Box, sigma: tuple[float, float, float]) -> Array:
    """Integer `flows` (4, *source) int16, smoothed, in `window`: dz, dy, dx; the logit is left as it is.

    `source` is `smoothing_window` of `window`, so it ends only where the volume does; there the flows are mirrored, as
    `scipy.ndimage.gaussian_filter` does by default, which Cellpose calls. Sums are of float64 in one order whatever the
    window, and rounded to the integers of the store.
    """
    inside = window.relative_to(source).slices
    out = np.empty((4, *window.shape), np.int16)
    for component in range(3):
        values = flows[component].astype(np.float64)
        for axis, s in enumerate(sigma):
            if s > 0:
                values = gaussian_filter1d(values, s, axis, mode="reflect", truncate=TRUNCATE)
            values = values[tuple(inside[a] if a == axis else slice(None) for a in range(3))]
        out[component] = np.rint(values)
    out[3] = flows[3][inside]
    return out


def _radius(sigma: float) -> int:
    return int(TRUNCATE * sigma + 0.5)
