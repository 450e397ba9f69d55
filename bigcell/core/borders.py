"""Where labels change from one voxel to the next."""

from __future__ import annotations

import numpy as np

from bigcell.core.volume import Array


def borders(labels: Array) -> Array:
    """The voxels (bool) on both sides of every border: a face neighbour has another label. The array's end is none.

    >>> borders(np.array([[0, 1, 1, 1, 2, 2]])).astype(int).tolist()
    [[1, 1, 0, 1, 1, 0]]
    """
    border = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        here, there = np.moveaxis(labels, axis, 0), np.moveaxis(border, axis, 0)
        differ = here[1:] != here[:-1]
        there[1:] |= differ
        there[:-1] |= differ
    return border
