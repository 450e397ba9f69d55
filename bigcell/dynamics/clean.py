"""Holes of one object: background that its own voxels shut in, in each plane or in the volume."""

from __future__ import annotations

import numpy as np
from numba import njit

from bigcell.core.errors import InputError
from bigcell.core.volume import Array


def holes(mask: Array) -> Array:
    """What `mask` (z, y, x) bool encloses in each of its z planes, bool (z, y, x), without `mask` itself.

    A hole is background from which no path of steps along y and x leads out of the object's bounding box, so it does
    not depend on how much room `mask` leaves around the object.

    >>> ring = np.array([[[0, 1, 0], [1, 0, 1], [0, 1, 0]]], bool)
    >>> np.argwhere(holes(ring))
    array([[0, 1, 1]])
    """
    enclosed: Array = enclosed_planes(_checked(mask))
    return enclosed


def voids(mask: Array) -> Array:
    """What `mask` (z, y, x) bool encloses on all sides, bool (z, y, x): as `holes`, with steps along z too.

    For a single plane the two are the same. A tunnel along z is a hole in each plane, but no void.
    """
    enclosed: Array = _enclosed(_checked(mask), len(mask) > 1)
    return enclosed


def _checked(mask: Array) -> Array:
    if mask.ndim != 3 or mask.dtype != bool:
        raise InputError(f"found a mask {mask.dtype} of shape {mask.shape}; wanted bool of shape (z, y, x)")
    return mask


@njit(cache=True, nogil=True)
def enclosed_planes(mask):  # type: ignore[no-untyped-def]
    """As `holes`, to be called from compiled code and with a mask that has been checked."""
    return _enclosed(mask, False)


@njit(cache=True, nogil=True)
def _enclosed(mask, solid):  # type: ignore[no-untyped-def]
    """Background that cannot be reached from outside; `solid`: paths run along z too."""
    Z, Y, X = mask.shape  # noqa: N806
    room = np.zeros((Z + 2, Y + 2, X + 2), np.uint8)  # 0 not reached, 1 mask, 2 reached; a way round it on all sides
    for z in range(Z):
        if not solid and not _has_gap(mask[z]):
            room[z + 1] = 1
            continue
        for y in range(Y):
            for x in range(X):
                room[z + 1, y + 1, x + 1] = mask[z, y, x]
    if solid:
        _flood(room, 0, True)
    else:
        for z in range(1, Z + 1):
            if room[z, 0, 0] == 0:
                _flood(room, z, False)
    return room[1:-1, 1:-1, 1:-1] == 0


@njit(cache=True, nogil=True)
def _has_gap(plane):  # type: ignore[no-untyped-def]
    """Whether some row has something else between two pixels of the object: without, nothing is enclosed."""
    for y in range(plane.shape[0]):
        seen, left = False, False
        for x in range(plane.shape[1]):
            if plane[y, x]:
                if left:
                    return True
                seen = True
            else:
                left = seen
    return False


@njit(cache=True, nogil=True)
def _flood(room, first, solid):  # type: ignore[no-untyped-def]
    """Mark what can be reached from the corner of plane `first`: run by run along x, so that few places wait."""
    Z, Y, X = room.shape  # noqa: N806
    waiting = np.empty((256, 3), np.int64)
    waiting[0] = (first, 0, 0)
    n = 1
    while n > 0:
        n -= 1
        z, y, a = waiting[n, 0], waiting[n, 1], waiting[n, 2]
        if room[z, y, a] != 0:
            continue
        while a > 0 and room[z, y, a - 1] == 0:
            a -= 1
        b = a
        while b < X and room[z, y, b] == 0:
            room[z, y, b] = 2
            b += 1
        for side in range(4 if solid else 2):
            j = y + (1 if side == 0 else -1 if side == 1 else 0)
            k = z + (1 if side == 2 else -1 if side == 3 else 0)
            if k < 0 or j < 0 or k >= Z or j >= Y:
                continue
            if n + b - a >= len(waiting):
                longer = np.empty((2 * (n + b - a), 3), np.int64)
                longer[:n] = waiting[:n]
                waiting = longer
            for x in range(a, b):  # one place for each run of the neighbouring row
                if room[k, j, x] == 0 and (x == a or room[k, j, x - 1] != 0):
                    waiting[n, 0], waiting[n, 1], waiting[n, 2] = k, j, x
                    n += 1


@njit(cache=True, nogil=True)
def holes_of_objects(values, boxes, numbers, stays):  # type: ignore[no-untyped-def]
    """What each object shuts in plane by plane: rows (n,), places (n, 3), and for which objects an other is in there.

    Object `numbers[i]` of `values` (z, y, x) lies in ``boxes[i]`` (3, 2).
    """
    found = np.empty((256, 4), np.int64)
    contested = np.zeros(len(numbers), np.bool_)
    n = 0
    for i in range(len(numbers)):
        box = boxes[i]
        crop = values[box[0, 0] : box[0, 1], box[1, 0] : box[1, 1], box[2, 0] : box[2, 1]]
        inside = enclosed_planes(crop == numbers[i])
        for z in range(crop.shape[0]):
            for y in range(crop.shape[1]):
                for x in range(crop.shape[2]):
                    if not inside[z, y, x]:
                        continue
                    contested[i] |= stays[crop[z, y, x]]
                    if n == len(found):
                        longer = np.empty((2 * n, 4), np.int64)
                        longer[:n] = found
                        found = longer
                    found[n, 0], found[n, 1] = i, z + box[0, 0]
                    found[n, 2], found[n, 3] = y + box[1, 0], x + box[2, 0]
                    n += 1
    return found[:n, 0].copy(), found[:n, 1:].copy(), contested
