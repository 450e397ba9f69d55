"""Sizes of cells as diameters, of discs and of balls."""

from __future__ import annotations

import numpy as np

from bigcell.core.volume import Array


def diameters_of(sizes: Array, *, flat: bool) -> Array:
    """Diameters of the discs (`flat`) or the balls of these areas or volumes, in the unit of their sides."""
    return np.asarray(2 * (sizes / np.pi) ** 0.5 if flat else 2 * (sizes * 0.75 / np.pi) ** (1 / 3))


def typical_size(sizes: Array, *, flat: bool) -> float:
    """Diameter of the disc (`flat`) or the ball of the median of `sizes`.

    >>> round(typical_size(np.array([314.0]), flat=True))
    20
    """
    return float(diameters_of(np.median(sizes), flat=flat))
