"""Heat in cells, and the direction in which it rises: the kernels behind `bigcell.flows.from_labels`.

A step of diffusion, at each voxel of a cell: heat' = (heat + sum of the neighbours' heat) / (neighbours + 1), where
what is not the cell has none, after 1 was added at the centre. Small cells take float32 and large ones float64, since
the heat of a far voxel is as small as 7 ** -distance. A step runs over the cell's padded box as one flat line, which
compilers turn into vector instructions; cells that fill little of their box have a list of neighbours instead. Both
add in one order, so they give the same bits.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, njit, prange

from bigcell.core.volume import Array

_FAR = 40
"""Voxels along the axes from the centre, up to which float32 does: 7 ** -40 is above its smallest number."""
_FAINT = 1e-30
"""A cell that has heat below this in float32 is done again in float64."""
_SPARSE = 8
"""A cell in a box this many times its voxels is done voxel by voxel."""

# Columns of the survey: box, sum of places, voxels.
_START, _STOP, _SUM, _COUNT = slice(0, 3), slice(3, 6), slice(6, 9), 9


def survey(labels: Array) -> Array:
    """Box (start, stop), sum of z, y and x, and voxels of each id from 0, int64 ``(n, 10)``; ids may be absent."""
    table = np.zeros((int(labels.max(initial=0)) + 1, 10), np.int64)
    table[:, _START] = np.iinfo(np.int64).max
    _survey(labels, table)
    return table


def flows_of_cells(labels: Array, table: Array, out: Array, length: float, gradient: str) -> None:
    """Write the flows of all cells of int32 `labels` (z, y, x), surveyed in `table`, into `out` (d, z, y, x)."""
    cells = np.flatnonzero(table[:, _COUNT])
    cells = cells[cells > 0]
    extents = table[cells, _STOP] - table[cells, _START]
    steps = _steps(extents, labels.shape, gradient)
    order = _balanced(np.prod(extents, axis=1) * steps)
    flat = gradient != "own" and labels.shape[0] == 1
    rule = (flat, flat and gradient == "cellpose4", gradient == "own")
    if gradient == "own" or (gradient == "cellpose3" and flat):
        _flows(labels, cells[order], steps[order], table, rule, length, out)
        return
    heat = np.zeros(tuple(n + 2 for n in labels.shape))
    _heat_all(labels, cells[order], steps[order], table, rule, heat)
    _across(labels, heat, length, out)


def _steps(extents: Array, shape: tuple[int, ...], gradient: str) -> Array:
    """Steps of diffusion of each cell of `extents` (n, 3): ours crosses the box twice, Cellpose's are its own."""
    total: Array = extents.sum(1)
    if gradient == "own":
        return 2 * total + 2
    if shape[0] > 1:
        return np.full_like(total, 6 * (total.max(initial=0) + 3))
    planar = total - 1
    return 2 * planar + 8 if gradient == "cellpose3" else np.full_like(total, 2 * (planar.max(initial=0) + 2))


def _balanced(cost: Array) -> Array:
    """An order of cells that gives each of the threads, which take equal runs of it, as much to do."""
    falling = np.argsort(-cost, kind="stable")
    threads = get_num_threads()
    order: Array = np.concatenate([falling[i::threads] for i in range(threads)])
    return order


@njit(cache=True, nogil=True)
def _survey(labels, table):  # type: ignore[no-untyped-def]
    """Voxels come in runs along x, and a run costs one visit to the table."""
    for z in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            row = labels[z, y]
            x = 0
            while x < len(row):
                name, begin = row[x], x
                while x < len(row) and row[x] == name:
                    x += 1
                if name == 0:
                    continue
                cell, n = table[name], x - begin
                cell[0], cell[1], cell[2] = min(cell[0], z), min(cell[1], y), min(cell[2], begin)
                cell[3], cell[4], cell[5] = max(cell[3], z + 1), max(cell[4], y + 1), max(cell[5], x)
                cell[6] += z * n
                cell[7] += y * n
                cell[8] += n * (begin + x - 1) // 2
                cell[9] += n


@njit(cache=True, nogil=True, parallel=True)
def _flows(labels, cells, steps, table, rule, length, out):  # type: ignore[no-untyped-def]
    for i in prange(len(cells)):
        row = table[cells[i]]
        place, centre, heat, rise = heated(labels, cells[i], steps[i], row, rule)
        _rise_into(place, (centre if rule[2] else -1), heat, rise, row, length, out)


@njit(cache=True, nogil=True, parallel=True)
def _heat_all(labels, cells, steps, table, rule, out):  # type: ignore[no-untyped-def]
    """The heat of every cell in one padded volume."""
    for i in prange(len(cells)):
        row = table[cells[i]]
        place, _, heat, _ = heated(labels, cells[i], steps[i], row, rule)
        for k in range(len(place)):
            out[row[0] + place[k, 0] + 1, row[1] + place[k, 1] + 1, row[2] + place[k, 2] + 1] = heat[k]


@njit(cache=True, nogil=True, parallel=True)
def _across(labels, heat, length, out):  # type: ignore[no-untyped-def]
    """The rise of a padded volume of `heat` at every voxel of a cell, whatever the neighbours belong to."""
    for z in prange(labels.shape[0]):
        for y in range(labels.shape[1]):
            for x in range(labels.shape[2]):
                if labels[z, y, x] == 0:
                    continue
                dz = heat[z + 2, y + 1, x + 1] - heat[z, y + 1, x + 1]
                dy = heat[z + 1, y + 2, x + 1] - heat[z + 1, y, x + 1]
                dx = heat[z + 1, y + 1, x + 2] - heat[z + 1, y + 1, x]
                _unit_into(dz, dy, dx, length, out, (z, y, x))


@njit(cache=True, nogil=True)
def _rise_into(place, centre, heat, rise, row, length, out):  # type: ignore[no-untyped-def]
    """Write one cell's flow. With a `centre` (or -1), it has none there, and what is cold points straight at it."""
    for i in range(len(place)):
        if i == centre:
            continue
        here = (row[0] + place[i, 0], row[1] + place[i, 1], row[2] + place[i, 2])
        known = heat[i] > 0 or centre < 0
        if known and _unit_into(rise[i, 0], rise[i, 1], rise[i, 2], length, out, here):
            continue
        if centre >= 0:  # out of the heat's reach, or a saddle, where it rises nowhere
            away = place[centre] - place[i]
            _unit_into(float(away[0]), float(away[1]), float(away[2]), length, out, here)


@njit(cache=True, nogil=True)
def _unit_into(dz, dy, dx, length, out, here):  # type: ignore[no-untyped-def]
    """Write (dz, dy, dx) at that `length` into the last axes of `out`; False if it is zero.

    It is divided by its largest part first, as the square of faint heat would vanish.
    """
    scale = max(abs(dz), abs(dy), abs(dx))
    if scale == 0:
        return False
    dz, dy, dx = dz / scale, dy / scale, dx / scale
    size = length / np.sqrt(dz * dz + dy * dy + dx * dx)
    z, y, x = here
    first = 3 - out.shape[0]
    if first == 0:
        out[0, z, y, x] = size * dz
    out[1 - first, z, y, x] = size * dy
    out[2 - first, z, y, x] = size * dx
    return True


@njit(cache=True, nogil=True)
def heated(labels, name, steps, row, rule):  # type: ignore[no-untyped-def]
    """One cell: its voxels (n, 3) from the corner of its box, which one is the centre, their heat and its rise."""
    nine, rounded, own = rule
    place = _places(labels, name, row)
    centre = _centre(place, row, rounded)
    shape = (row[3] - row[0], row[4] - row[1], row[5] - row[2])
    kind = 9 if nine else 5 if shape[0] == 1 else 7
    sy = shape[2] + 2
    sz = sy * (shape[1] + 2)
    flat = np.empty(len(place), np.int64)
    for i in range(len(place)):
        flat[i] = (place[i, 0] + (kind == 7)) * sz + (place[i, 1] + 1) * sy + place[i, 2] + 1
    size = sz * (shape[0] + 2 if kind == 7 else 1)
    if size > 4096 and size > _SPARSE * len(place):
        heat, rise = _sparse(flat, centre, steps, (sz, sy), kind, own)
        return place, centre, heat, rise
    far = 0
    for axis in range(3):
        far += max(place[centre, axis], shape[axis] - 1 - place[centre, axis])
    if far <= _FAR and (own or not rounded):
        heat, rise = _dense(flat, centre, steps, (sz, sy), kind, False, np.zeros(size, np.float32))
        if heat.min() >= _FAINT:
            return place, centre, heat, rise
    heat, rise = _dense(flat, centre, steps, (sz, sy), kind, own, np.zeros(size, np.float64))
    return place, centre, heat, rise


@njit(cache=True, nogil=True)
def _places(labels, name, row):  # type: ignore[no-untyped-def]
    """The voxels (n, 3) of a cell in scan order, from the corner of its box."""
    place = np.empty((row[9], 3), np.int64)
    n = 0
    for z in range(row[0], row[3]):
        for y in range(row[1], row[4]):
            for x in range(row[2], row[5]):
                if labels[z, y, x] == name:
                    place[n, 0], place[n, 1], place[n, 2] = z - row[0], y - row[1], x - row[2]
                    n += 1
    return place


@njit(cache=True, nogil=True)
def _centre(place, row, rounded):  # type: ignore[no-untyped-def]
    """Index of the voxel nearest the centroid; of several, the first in scan order.

    `rounded`: nearest the voxel that the centroid lies in, as Cellpose 4 has it.
    """
    z, y, x = row[6] / row[9] - row[0], row[7] / row[9] - row[1], row[8] / row[9] - row[2]
    if rounded:
        z, y, x = np.rint(z), np.rint(y), np.rint(x)
    best, at = np.inf, 0
    for i in range(len(place)):
        dz, dy, dx = place[i, 0] - z, place[i, 1] - y, place[i, 2] - x
        distance = dz * dz + dy * dy + dx * dx
        if distance < best - 1e-9:
            best, at = distance, i
    return at


@njit(cache=True, nogil=True)
def _dense(flat, centre, steps, strides, kind, through, weight):  # type: ignore[no-untyped-def]
    """Heat (n,) and rise (n, 3) of the voxels at `flat` in a padded box, in the floats of its empty `weight`.

    `through`: go on after `steps` while the heat still reaches new voxels.
    """
    sz, sy = strides
    for i in range(len(flat)):
        weight[flat[i]] = 1.0 / (9.0 if kind == 9 else 7.0)
    heat, fresh = np.zeros_like(weight), np.zeros_like(weight)
    rows = np.zeros_like(weight if kind == 9 else weight[:0])
    edge = (sz if kind == 7 else 0) + sy + 1
    step, warm = 0, -1
    while True:
        heat[flat[centre]] += 1
        if kind == 5:
            _step5(heat, fresh, weight, edge, sy)
        elif kind == 7:
            _step7(heat, fresh, weight, edge, sy, sz)
        else:
            _step9(heat, fresh, weight, edge, sy, rows)
        heat, fresh = fresh, heat
        step += 1
        if step >= steps:
            now = _warm(heat, flat) if through else len(flat)
            if now == len(flat) or now == warm:
                break
            warm = now
    out, rise = np.empty(len(flat)), np.zeros((len(flat), 3))
    for i in range(len(flat)):
        v = flat[i]
        out[i] = heat[v]
        rise[i, 1] = heat[v + sy] - heat[v - sy]
        rise[i, 2] = heat[v + 1] - heat[v - 1]
        if kind == 7:
            rise[i, 0] = heat[v + sz] - heat[v - sz]
    return out, rise


@njit(cache=True, nogil=True)
def _warm(heat, flat):  # type: ignore[no-untyped-def]
    n = 0
    for i in range(len(flat)):
        n += heat[flat[i]] > 0
    return n


# Slices of one line: the compiler then sees that no index is negative, and makes vector instructions of the loop.


@njit(cache=True, nogil=True)
def _step5(heat, fresh, weight, edge, sy):  # type: ignore[no-untyped-def]
    n = len(heat) - 2 * edge
    out, w = fresh[edge : edge + n], weight[edge : edge + n]
    here, left, right = heat[edge : edge + n], heat[edge - 1 : edge - 1 + n], heat[edge + 1 : edge + 1 + n]
    above, below = heat[edge - sy : edge - sy + n], heat[edge + sy : edge + sy + n]
    for i in range(n):
        out[i] = w[i] * (here[i] + above[i] + below[i] + left[i] + right[i])


@njit(cache=True, nogil=True)
def _step7(heat, fresh, weight, edge, sy, sz):  # type: ignore[no-untyped-def]
    n = len(heat) - 2 * edge
    out, w = fresh[edge : edge + n], weight[edge : edge + n]
    here, left, right = heat[edge : edge + n], heat[edge - 1 : edge - 1 + n], heat[edge + 1 : edge + 1 + n]
    above, below = heat[edge - sy : edge - sy + n], heat[edge + sy : edge + sy + n]
    before, after = heat[edge - sz : edge - sz + n], heat[edge + sz : edge + sz + n]
    for i in range(n):
        out[i] = w[i] * (here[i] + before[i] + after[i] + above[i] + below[i] + left[i] + right[i])


@njit(cache=True, nogil=True)
def _step9(heat, fresh, weight, edge, sy, rows):  # type: ignore[no-untyped-def]
    n = len(heat) - 2
    out, left, here, right = rows[1 : 1 + n], heat[0:n], heat[1 : 1 + n], heat[2 : 2 + n]
    for i in range(n):
        out[i] = left[i] + here[i] + right[i]
    n = len(heat) - 2 * edge
    out, w = fresh[edge : edge + n], weight[edge : edge + n]
    above, here, below = rows[edge - sy : edge - sy + n], rows[edge : edge + n], rows[edge + sy : edge + sy + n]
    for i in range(n):
        out[i] = w[i] * (above[i] + here[i] + below[i])


@njit(cache=True, nogil=True)
def _sparse(flat, centre, steps, strides, kind, through):  # type: ignore[no-untyped-def]
    """As `_dense`, in float64, over a list of voxels and the places of their neighbours in it."""
    sz, sy = strides
    n = len(flat)
    near = _neighbours(flat, sz, sy, kind)
    share = 1.0 / (9.0 if kind == 9 else 7.0)
    heat, fresh = np.zeros(n + 1), np.zeros(n + 1)  # the last is what is not the cell, and stays cold
    step, warm = 0, -1
    while True:
        heat[centre] += 1
        now = 0
        for i in range(n):
            fresh[i] = share * _sum(heat, near, i)
            now += fresh[i] > 0
        heat, fresh = fresh, heat
        step += 1
        if step >= steps:
            if not through or now in (n, warm):
                break
            warm = now
    rise = np.zeros((n, 3))
    for i in range(n):
        k = 2 if kind == 7 else 0
        if kind == 7:
            rise[i, 0] = heat[near[i, 1]] - heat[near[i, 0]]
        rise[i, 1] = heat[near[i, k + 1]] - heat[near[i, k]]
        rise[i, 2] = heat[near[i, k + 3]] - heat[near[i, k + 2]]
    return heat[:n], rise


@njit(cache=True, nogil=True)
def _sum(heat, near, i):  # type: ignore[no-untyped-def]
    """Heat of a voxel and its neighbours, added in the order of `_dense`."""
    total = heat[i]
    if near.shape[1] < 8:
        for k in range(near.shape[1]):
            total += heat[near[i, k]]
        return total
    above = heat[near[i, 4]] + heat[near[i, 0]] + heat[near[i, 5]]
    below = heat[near[i, 6]] + heat[near[i, 1]] + heat[near[i, 7]]
    return above + (heat[near[i, 2]] + total + heat[near[i, 3]]) + below


@njit(cache=True, nogil=True)
def _neighbours(flat, sz, sy, kind):  # type: ignore[no-untyped-def]
    """Where the neighbours of each voxel stand in `flat` (ascending), in the order in which `_step5` and 7 add them."""
    if kind == 7:
        steps = np.array([-sz, sz, -sy, sy, -1, 1])
    elif kind == 5:
        steps = np.array([-sy, sy, -1, 1])
    else:
        steps = np.array([-sy, sy, -1, 1, -sy - 1, -sy + 1, sy - 1, sy + 1])
    n = len(flat)
    near = np.full((n, len(steps)), n, np.int64)
    for i in range(n):
        for k in range(len(steps)):
            at = np.searchsorted(flat, flat[i] + steps[k])
            if at < n and flat[at] == flat[i] + steps[k]:
                near[i, k] = at
    return near
