"""Smooth random fields: the grain of cells, uneven light, warped borders."""

from __future__ import annotations

import numpy as np

from bigcell.core.volume import Array


def waves(shape: tuple[int, ...], step: Array, length: float, rng: np.random.Generator) -> Array:
    """Smooth noise of about unit size, float32, over the last three axes of `shape`, which are z, y, x.

    Bumps are `length` apart where a voxel is `step` (z, y, x) long: random numbers on a coarse grid, between which
    smoothstep weights interpolate (value noise).

    >>> waves((2, 1, 8, 8), np.array([1.0, 0.1, 0.1]), 0.5, np.random.default_rng(0)).shape
    (2, 1, 8, 8)
    """
    coarse = [max(2, int(np.ceil(n * s / length)) + 1) for n, s in zip(shape[-3:], step, strict=True)]
    field = rng.standard_normal((*shape[:-3], *coarse)).astype(np.float32)
    for axis, (n, s, m) in enumerate(zip(shape[-3:], step, coarse, strict=True), start=len(shape) - 3):
        at = np.minimum(np.arange(n) * s / length, m - 1.001)
        low = at.astype(int)
        w = ((at - low) ** 2 * (3 - 2 * (at - low))).astype(np.float32)
        w = w.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        field = field.take(low, axis) * (1 - w) + field.take(low + 1, axis) * w
    return field
