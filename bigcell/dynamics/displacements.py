"""How far each particle of a block came, and where in the volume it ended."""

from __future__ import annotations

import numpy as np
from numba import njit

from bigcell.dynamics.paths import BACKGROUND, ESCAPED


@njit(cache=True, nogil=True)
def end_positions(mask, moved, origin, extent):  # type: ignore[no-untyped-def]
    """Global raster position (n,) of the end of each particle of a block whose first voxel is `origin`."""
    ends = np.empty(len(moved), np.int64)
    n = 0
    for z in range(mask.shape[0]):
        for y in range(mask.shape[1]):
            for x in range(mask.shape[2]):
                if mask[z, y, x]:
                    a, b, c = origin[0] + z + moved[n, 0], origin[1] + y + moved[n, 1], origin[2] + x + moved[n, 2]
                    ends[n] = (a * extent[1] + b) * extent[2] + c
                    n += 1
    return ends


@njit(cache=True, nogil=True)
def displacements(ends, place, moved, counts):  # type: ignore[no-untyped-def]
    """How far each particle came, by its end in the window, and how many ended at each of the window's voxels.

    `place`: first voxel of core and window, window's shape. Returns the furthest way along an axis.
    """
    ny, nx = place[2, 1], place[2, 2]
    off = place[1] - place[0]
    n, reach = 0, np.zeros(1, np.int64)
    last, z1, y1, x1 = np.int64(-1), np.int64(0), np.int64(0), np.int64(0)
    for z in range(ends.shape[0]):
        for y in range(ends.shape[1]):
            for x in range(ends.shape[2]):
                end = np.int64(ends[z, y, x])
                if end == BACKGROUND:
                    continue
                if end != ESCAPED:
                    if end != last:  # neighbours mostly end at one voxel
                        row = end // nx
                        z1, y1, x1 = row // ny + off[0], row % ny + off[1], end - row * nx + off[2]
                        last = end
                    a, b, c = z1 - z, y1 - y, x1 - x
                    moved[n, 0], moved[n, 1], moved[n, 2] = a, b, c
                    reach[0] = max(reach[0], abs(a), abs(b), abs(c))
                    counts[end] += 1
                n += 1
    return reach[0]
