"""How well flows agree with the objects that were made from them: Cellpose's flow error, object by object.

The flow that an object ought to have comes from heat that starts at its centre and spreads inside it (Stringer et al.
2021, Nature Methods 18, 100-106, "Cellpose"); the error is the mean over its voxels of the squared difference to the
flow it was found by. Every object is alone in its own box: neighbours are cold, and the number of steps follows from
its own size, so the error is a function of the object and of nothing else in the volume. In a plane this is the
diffusion of Cellpose 1 to 3 on a CPU (3 x 3 mean, twice as many steps as height and width together); in 3-D, where
Cellpose has no such check, heat spreads to the six neighbours.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from bigcell.core.errors import InputError
from bigcell.core.volume import Array


def flow_error(mask: Array, flow: Array) -> float:
    """The flow error of one object: 0 for the flow it ought to have, about 2 for a flow that points anywhere.

    `mask` (z, y, x) bool, True in the object; `flow` (3, z, y, x) in unit lengths (a fifth of what networks give),
    float or the int16 of `bigcell.tiling.blend`. An object in a single plane is compared in that plane, whatever dz
    is. 0 for an empty mask. Room around the object changes nothing.
    """
    if mask.dtype != bool:
        raise InputError(f"found a mask of {mask.dtype}; wanted bool, True in the object")
    errors = flow_errors(mask.astype(np.uint8), flow)
    return float(errors[0]) if len(errors) else 0.0


def flow_errors(labels: Array, flow: Array, where: Array | None = None) -> Array:
    """The flow error of every label 1..n of `labels` (z, y, x), float64 (n,); NaN for a number that is not there.

    `flow` (3, z, y, x) as for `flow_error`. Labels that lie in one plane each are compared in their planes. `where`:
    `boxes(labels)` if they are known; one of zeros leaves its label out.
    """
    if labels.ndim != 3 or labels.dtype.kind not in "iu" or flow.shape != (3, *labels.shape):
        raise InputError(
            f"found labels {labels.dtype} of shape {labels.shape} and a flow of shape {flow.shape}; "
            "wanted integers of shape (z, y, x) and a flow of shape (3, z, y, x)"
        )
    integer = flow.dtype == np.int16
    held = np.ascontiguousarray(labels, np.uint32)
    values = np.ascontiguousarray(flow, np.int16 if integer else np.float32)
    found = boxes(held) if where is None else where
    errors: Array = _errors(held, values, found, 1.0 / 1024 if integer else 1.0)
    return errors


def boxes(labels: Array) -> Array:
    """Half-open bounding box of every label 1..n of `labels` (z, y, x): int64 (n, 3, 2), all 0 for one not there."""
    found: Array = _boxes(np.ascontiguousarray(labels, np.uint32), int(labels.max(initial=0)))
    return found


@njit(cache=True, nogil=True)
def _boxes(labels, n):  # type: ignore[no-untyped-def]
    found = np.zeros((n, 3, 2), np.int64)
    for z in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            for x in range(labels.shape[2]):
                if labels[z, y, x] == 0:
                    continue
                box = found[np.int64(labels[z, y, x]) - 1]
                if box[0, 1] == 0:
                    box[0, 0], box[1, 0], box[2, 0] = z, y, x
                box[0, 1] = z + 1
                box[1, 0], box[1, 1] = min(box[1, 0], y), max(box[1, 1], y + 1)
                box[2, 0], box[2, 1] = min(box[2, 0], x), max(box[2, 1], x + 1)
    return found


@njit(cache=True, nogil=True, parallel=True)
def _errors(labels, flow, found, unit):  # type: ignore[no-untyped-def]
    errors = np.full(len(found), np.nan)
    for i in prange(len(found)):
        if found[i, 0, 1] > 0:
            errors[i] = object_error(labels, i + 1, found[i], flow, unit)
    return errors


@njit(cache=True, nogil=True)
def object_error(labels, name, box, flow, unit):  # type: ignore[no-untyped-def]
    """The error of the object `name` of `labels` that lies in `box` (3, 2); `flow` times `unit` has unit lengths."""
    inside = _inside(labels, name, box)
    centre = _centre(inside)
    flat = inside.shape[0] == 3
    heat = np.zeros(inside.shape)
    if flat:
        heat[1] = _heat_plane(inside[1], centre[1], centre[2])
    else:
        heat = _heat_solid(inside, centre)
    total, n = 0.0, 0
    for z in range(1, inside.shape[0] - 1):
        for y in range(1, inside.shape[1] - 1):
            for x in range(1, inside.shape[2] - 1):
                if inside[z, y, x] == 0:
                    continue
                a, b, c = z - 1 + box[0, 0], y - 1 + box[1, 0], x - 1 + box[2, 0]
                dz = 0.0 if flat else heat[z + 1, y, x] - heat[z - 1, y, x]
                dy = heat[z, y + 1, x] - heat[z, y - 1, x]
                dx = heat[z, y, x + 1] - heat[z, y, x - 1]
                scale = 1.0 / (1e-60 + np.sqrt(dz * dz + dy * dy + dx * dx))
                ez = 0.0 if flat else dz * scale - flow[0, a, b, c] * unit
                ey = dy * scale - flow[1, a, b, c] * unit
                ex = dx * scale - flow[2, a, b, c] * unit
                total += ez * ez + ey * ey + ex * ex
                n += 1
    return total / n


@njit(cache=True, nogil=True)
def _inside(labels, name, box):  # type: ignore[no-untyped-def]
    """1 in the object and 0 elsewhere, with a margin of one voxel."""
    shape = (box[0, 1] - box[0, 0] + 2, box[1, 1] - box[1, 0] + 2, box[2, 1] - box[2, 0] + 2)
    inside = np.zeros(shape)
    for z in range(box[0, 0], box[0, 1]):
        for y in range(box[1, 0], box[1, 1]):
            for x in range(box[2, 0], box[2, 1]):
                if labels[z, y, x] == name:
                    inside[z - box[0, 0] + 1, y - box[1, 0] + 1, x - box[2, 0] + 1] = 1.0
    return inside


@njit(cache=True, nogil=True)
def _centre(inside):  # type: ignore[no-untyped-def]
    """The object's voxel nearest its centroid; of several, the first in raster order. Sums are of integers."""
    n, sz, sy, sx = 0, 0, 0, 0
    for z in range(inside.shape[0]):
        for y in range(inside.shape[1]):
            for x in range(inside.shape[2]):
                if inside[z, y, x] > 0:
                    n, sz, sy, sx = n + 1, sz + z, sy + y, sx + x
    best, at = np.iinfo(np.int64).max, (0, 0, 0)
    for z in range(inside.shape[0]):
        for y in range(inside.shape[1]):
            for x in range(inside.shape[2]):
                if inside[z, y, x] > 0:
                    d = (n * z - sz) ** 2 + (n * y - sy) ** 2 + (n * x - sx) ** 2
                    if d < best:
                        best, at = d, (z, y, x)
    return at


@njit(cache=True, nogil=True)
def _heat_plane(inside, cy, cx):  # type: ignore[no-untyped-def]
    """Heat in a padded plane after Cellpose's number of steps."""
    Y, X = inside.shape  # noqa: N806
    heat, column = np.zeros((Y, X)), np.zeros(X)
    rows = np.zeros((2, X))
    for _ in range(2 * (Y + X)):
        heat[cy, cx] += 1.0
        for y in range(1, Y - 1):
            up, here, down, wall = rows[y & 1], heat[y], heat[y + 1], inside[y]
            for x in range(X):  # `up`: the row above as it was before this step
                column[x] = up[x] + here[x] + down[x]
            kept = rows[1 - (y & 1)]
            for x in range(X):
                kept[x] = here[x]
            for x in range(1, X - 1):
                here[x] = (column[x - 1] + column[x] + column[x + 1]) * wall[x] * (1.0 / 9.0)
        rows[:] = 0.0
    return heat


@njit(cache=True, nogil=True)
def _heat_solid(inside, centre):  # type: ignore[no-untyped-def]
    """Heat in a padded box after enough steps to cross it twice."""
    Z, Y, X = inside.shape  # noqa: N806
    heat, after = np.zeros((Z, Y, X)), np.zeros((Z, Y, X))
    for _ in range(2 * (Z + Y + X)):
        heat[centre] += 1.0
        for z in range(1, Z - 1):
            for y in range(1, Y - 1):
                here, wall, out = heat[z, y], inside[z, y], after[z, y]
                below, above, up, down = heat[z - 1, y], heat[z + 1, y], heat[z, y - 1], heat[z, y + 1]
                for x in range(1, X - 1):
                    six = below[x] + above[x] + up[x] + down[x] + here[x - 1] + here[x + 1]
                    out[x] = (here[x] + six) * wall[x] * (1.0 / 7.0)
        heat, after = after, heat
    return heat
