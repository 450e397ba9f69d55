"""How well flows agree with the objects that were made from them: Cellpose's flow error, object by object.

The flow that an object ought to have comes from heat that starts at its centre and spreads inside it (Stringer et al.
2021, Nature Methods 18, 100-106, "Cellpose"); the error is the mean over its voxels of the squared difference to the
flow it was found by. Every object is alone in its own box: neighbours are cold, and the number of steps follows from
its own size, so the error is a function of the object and of nothing else in the volume. In a plane this is the
diffusion of Cellpose 1 to 3 on a CPU (3 x 3 mean, twice as many steps as height and width together); in 3-D, where
Cellpose has no such check, heat spreads to the six neighbours, as in `bigcell.flows.from_labels`.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.flows.heat_diffusion import heated, survey


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


def flow_errors(labels: Array, flow: Array, table: Array | None = None) -> Array:
    """The flow error of every label 1..n of `labels` (z, y, x), float64 (n,); NaN for a number that is not there.

    `flow` (3, z, y, x) as for `flow_error`. Labels that lie in one plane each are compared in their planes. `table`:
    `bigcell.flows.heat_diffusion.survey(labels)`, if it is known; a row of zeros leaves its label out.
    """
    if labels.ndim != 3 or labels.dtype.kind not in "iu" or flow.shape != (3, *labels.shape):
        raise InputError(
            f"found labels {labels.dtype} of shape {labels.shape} and a flow of shape {flow.shape}; "
            "wanted integers of shape (z, y, x) and a flow of shape (3, z, y, x)"
        )
    integer = flow.dtype == np.int16
    held = np.ascontiguousarray(labels, np.uint32)
    values = np.ascontiguousarray(flow, np.int16 if integer else np.float32)
    rows = survey(held) if table is None else table
    errors: Array = _errors(held, values, rows, 1.0 / 1024 if integer else 1.0)
    return errors


@njit(cache=True, nogil=True, parallel=True)
def _errors(labels, flow, table, unit):  # type: ignore[no-untyped-def]
    errors = np.full(len(table) - 1, np.nan)
    for i in prange(len(errors)):
        if table[i + 1, 9] > 0:
            errors[i] = _error(labels, i + 1, table[i + 1], flow, unit)
    return errors


@njit(cache=True, nogil=True)
def _error(labels, name, row, flow, unit):  # type: ignore[no-untyped-def]
    """The error of one object, seen from the corner of its own box, so that its place in the volume rounds nothing."""
    own = labels[row[0] : row[3], row[1] : row[4], row[2] : row[5]]
    local = np.zeros(10, np.int64)
    for axis in range(3):
        local[3 + axis] = row[3 + axis] - row[axis]
        local[6 + axis] = row[6 + axis] - row[9] * row[axis]
    local[9] = row[9]
    flat = local[3] == 1
    steps = 2 * (local[4] + local[5]) + 8 if flat else 2 * (local[3] + local[4] + local[5]) + 2
    place, _, _, rise = heated(own, name, steps, local, (flat, False, not flat))
    total = 0.0
    for i in range(len(place)):
        z, y, x = row[0] + place[i, 0], row[1] + place[i, 1], row[2] + place[i, 2]
        dz, dy, dx = rise[i, 0], rise[i, 1], rise[i, 2]
        most = max(abs(dz), abs(dy), abs(dx))
        if most > 0:  # faint heat has a direction too: its square would vanish
            dz, dy, dx = dz / most, dy / most, dx / most
            size = np.sqrt(dz * dz + dy * dy + dx * dx)
            dz, dy, dx = dz / size, dy / size, dx / size
        ez = 0.0 if flat else dz - flow[0, z, y, x] * unit
        ey = dy - flow[1, z, y, x] * unit
        ex = dx - flow[2, z, y, x] * unit
        total += ez * ez + ey * ey + ex * ex
    return total / len(place)
