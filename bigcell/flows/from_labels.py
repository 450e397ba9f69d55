"""Flow fields made from labels: training targets, and exact flows for tests.

Heat starts at a cell's centre, spreads inside the cell and is lost at its border; the flow is the direction in which
the heat rises (Stringer et al. 2021, Nature Methods 18, 100-106, "Cellpose"). Every cell is alone in its own box, so
what touches it changes nothing.
"""

from __future__ import annotations

import fastremap
import numpy as np
from numba import njit
from scipy.ndimage import find_objects

from bigcell.core.errors import InputError
from bigcell.core.volume import Array


def flows_from_labels(labels: Array) -> Array:
    """Unit vectors to each cell's centre, float32 ``(3, z, y, x)``; 0 in the background and at the centre itself.

    `labels` holds integers ``(z, y, x)``, 0 for background. A volume of one plane gives the flow in that plane
    (no z component). The centre is the cell's voxel nearest its centroid. Pieces of a cell that the heat cannot reach
    point straight at the centre.

    >>> flows_from_labels(np.array([[[0, 4, 4, 4, 0]]]))[2]
    array([[[ 0.,  1.,  0., -1.,  0.]]], dtype=float32)
    """
    _check(labels)
    out = np.zeros((3, *labels.shape), np.float32)
    _fill(labels, out)
    return out


def plane_flows(labels: Array, axis: int) -> Array:
    """The 2-D flow of every plane across `axis`, each plane on its own: float32 ``(3, z, y, x)``, 0 along `axis`.

    What a 2-D network is to predict in one of the three views of a stack: the cross-section of a cell in a plane has
    its own centre there.
    """
    _check(labels)
    out = np.zeros((3, *labels.shape), np.float32)
    for i in range(labels.shape[axis]):
        plane = (slice(None),) * axis + (slice(i, i + 1),)
        _fill(labels[plane], out[(slice(None), *plane)])
    return out


def _check(labels: Array) -> None:
    if labels.ndim != 3 or labels.dtype.kind not in "iu":
        raise InputError(f"found labels {labels.dtype} of shape {labels.shape}; wanted integers of shape (z, y, x)")


def _fill(labels: Array, out: Array) -> None:
    """Write the flows of all cells of `labels` into `out`."""
    dense, _ = fastremap.renumber(np.ascontiguousarray(labels), in_place=False)
    dense = dense.astype(np.int32)
    found = find_objects(dense)
    boxes = np.array([[(s.start, s.stop) for s in box] for box in found], np.int64).reshape(-1, 3, 2)
    _flows_into(dense, boxes, out)


@njit(cache=True, nogil=True)
def _flows_into(labels, boxes, out):  # type: ignore[no-untyped-def]
    """Cell ``i + 1`` of `labels` lies in ``boxes[i]``, (axis, start/stop)."""
    for i in range(len(boxes)):
        _cell_into(labels, i + 1, boxes[i], out)


@njit(cache=True, nogil=True)
def _cell_into(labels, name, box, out):  # type: ignore[no-untyped-def]
    """The flow of one cell. Its box is padded by one voxel that stays cold, so no voxel needs a look at its edge."""
    sy = box[2, 1] - box[2, 0] + 2
    sz = sy * (box[1, 1] - box[1, 0] + 2)
    size = sz * (box[0, 1] - box[0, 0] + 2)
    flat, place = _voxels(labels, name, box, sz, sy)
    centre = _centre(place)
    heat = _diffuse(flat, flat[centre], size, (sz, sy, 1), box)
    steps = (sz, sy, 1)
    for i in range(len(flat)):
        z, y, x = place[i]
        d = np.empty(3)
        for axis in range(3):
            d[axis] = heat[flat[i] + steps[axis]] - heat[flat[i] - steps[axis]]
        if heat[flat[i]] == 0:
            d[:] = place[centre] - place[i]
        scale = np.max(np.abs(d))  # twice, since the square of a far voxel's heat would vanish
        if scale > 0 and i != centre:
            d /= scale
            d /= np.sqrt(np.sum(d * d))
            for axis in range(3):
                out[axis, z, y, x] = d[axis]
        elif i != centre:
            _straight_into(out, place[i], place[centre])


@njit(cache=True, nogil=True)
def _straight_into(out, here, centre):  # type: ignore[no-untyped-def]
    """A saddle, where the heat rises nowhere: point straight at the centre."""
    d = (centre - here).astype(np.float64)
    d /= np.sqrt(np.sum(d * d))
    for axis in range(3):
        out[axis, here[0], here[1], here[2]] = d[axis]


@njit(cache=True, nogil=True)
def _voxels(labels, name, box, sz, sy):  # type: ignore[no-untyped-def]
    """The cell's voxels: their index in the padded box, and their place (z, y, x) in `labels`."""
    n = 0
    for z in range(box[0, 0], box[0, 1]):
        for y in range(box[1, 0], box[1, 1]):
            for x in range(box[2, 0], box[2, 1]):
                n += labels[z, y, x] == name
    flat = np.empty(n, np.int64)
    place = np.empty((n, 3), np.int64)
    n = 0
    for z in range(box[0, 0], box[0, 1]):
        for y in range(box[1, 0], box[1, 1]):
            for x in range(box[2, 0], box[2, 1]):
                if labels[z, y, x] == name:
                    flat[n] = (z - box[0, 0] + 1) * sz + (y - box[1, 0] + 1) * sy + x - box[2, 0] + 1
                    place[n] = (z, y, x)
                    n += 1
    return flat, place


@njit(cache=True, nogil=True)
def _centre(place):  # type: ignore[no-untyped-def]
    """Index of the voxel nearest the centroid; of several, the first in scan order."""
    mean = np.zeros(3)
    for i in range(len(place)):
        mean += place[i]
    mean /= len(place)
    best, at = np.inf, 0
    for i in range(len(place)):
        distance = np.sum((place[i] - mean) ** 2)
        if distance < best - 1e-9:
            best, at = distance, i
    return at


@njit(cache=True, nogil=True)
def _diffuse(flat, centre, size, steps, box):  # type: ignore[no-untyped-def]
    """Heat after enough steps to cross the cell's box twice, and more while it still reaches new voxels."""
    a, b, c = steps
    heat = np.zeros(size)
    fresh = np.zeros(len(flat))
    enough = 2 * np.sum(box[:, 1] - box[:, 0]) + 2
    warm, step = 0, 0
    while True:
        heat[centre] += 1.0
        now = 0
        for i in range(len(flat)):
            v = flat[i]
            fresh[i] = heat[v] + heat[v - a] + heat[v + a] + heat[v - b] + heat[v + b] + heat[v - c] + heat[v + c]
            now += fresh[i] > 0
        for i in range(len(flat)):
            heat[flat[i]] = fresh[i] / 7.0
        step += 1
        if step >= enough and (now == len(flat) or now == warm):
            return heat
        warm = now
