"""Flow fields made from labels: training targets, exact flows for tests, and what a cell's flow is compared with.

Heat starts at a cell's centre, spreads inside the cell and is lost at its border; the flow is the direction in which
the heat rises (Stringer et al. 2021, Nature Methods 18, 100-106, "Cellpose"). Every cell is alone in its own box, so
what touches it changes nothing; Cellpose's own rules are here too, to compare with (`bigcell.flows.heat_diffusion`).
"""

from __future__ import annotations

from typing import Literal

import fastremap
import numpy as np
from numpy.typing import ArrayLike

from bigcell.core.arrays import as_array
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.volume import Array
from bigcell.flows.heat_diffusion import flows_of_cells, survey

Gradient = Literal["own", "cellpose3", "cellpose4"]
"""Whose heat: ours, or that of a release of Cellpose."""


def flows_from_labels(labels: ArrayLike, *, gradient: Gradient = "own") -> Array:
    """Make flows to each cell's centre as networks give them, five times unit length.

    They are 0 in the background and at the centre itself, which is the cell's voxel nearest its centroid. Pieces of a
    cell that the heat cannot reach point straight at the centre.

    Parameters
    ----------
    labels
        Integers ``(y, x)`` or ``(z, y, x)``, 0 for background.
    gradient
        "own" looks at the cell's own heat alone, so the flow of touching cells is exact. "cellpose4" is what Cellpose 4
        trains on: the difference of heat is taken across borders, and all cells are heated for as long as the largest
        needs. "cellpose3" is Cellpose 3 on a CPU: 2-D cells each on its own; in 3-D the two are the same.

    Returns
    -------
    Array
        float32 ``(d, *space)``, d components for the d axes of the labels.

    Examples
    --------
    >>> flows_from_labels(np.array([[0, 4, 4, 4, 0]]))[1]
    array([[ 0.,  5.,  0., -5.,  0.]], dtype=float32)
    """
    labels = as_array(labels)
    if labels.ndim not in (2, 3) or labels.dtype.kind not in "iub":
        raise InputError(
            f"found labels {labels.dtype} of shape {labels.shape}; wanted integers of shape (y, x) or (z, y, x)"
        )
    stack = labels if labels.ndim == 3 else labels[None]
    out = np.zeros((labels.ndim, *stack.shape), np.float32)
    _fill(stack, out, 5.0, gradient)
    return out.reshape(labels.ndim, *labels.shape)


def unit_flows(labels: Array, *, gradient: Gradient = "own") -> Array:
    """As `flows_from_labels`, of unit length: float32 ``(3, z, y, x)`` for ``(z, y, x)``. No z in a single plane."""
    _check(labels)
    out = np.zeros((3, *labels.shape), np.float32)
    _fill(labels, out, 1.0, gradient)
    return out


def plane_flows(labels: Array, axis: int, *, gradient: Gradient = "own") -> Array:
    """The 2-D unit flow of every plane across `axis`, each plane on its own: float32 ``(3, z, y, x)``, 0 along `axis`.

    What a 2-D network is to predict in one of the three views of a stack: the cross-section of a cell in a plane has
    its own centre there.
    """
    _check(labels)
    out = np.zeros((3, *labels.shape), np.float32)
    turned, flows = np.moveaxis(labels, axis, 0), np.moveaxis(out, axis + 1, 1)
    others = [a for a in range(3) if a != axis]
    for i, plane in enumerate(turned):
        flat = np.zeros((2, 1, *plane.shape), np.float32)
        _fill(plane[None], flat, 1.0, gradient)
        flows[others, i] = flat[:, 0]
    return out


def _check(labels: Array) -> None:
    if labels.ndim != 3 or labels.dtype.kind not in "iub":
        raise InputError(f"found labels {labels.dtype} of shape {labels.shape}; wanted integers of shape (z, y, x)")


def _fill(labels: Array, out: Array, length: float, gradient: Gradient) -> None:
    """Write the flows of all cells of `labels` (z, y, x), of that `length`, into `out` (d, z, y, x): its last axes."""
    if gradient not in ("own", "cellpose3", "cellpose4"):
        raise SettingsError(f"gradient {gradient!r}: wanted own, cellpose3 or cellpose4")
    dense = _dense(labels)
    flows_of_cells(dense, survey(dense), out, length, gradient)


def _dense(labels: Array) -> Array:
    """`labels` as contiguous int32, numbered anew where their ids would make a table much longer than needed."""
    if labels.size and labels.min() < 0:
        raise InputError(f"found label {labels.min()}; wanted 0 for background and positive ids")
    if labels.size and labels.max() > max(1024, min(labels.size, 2**31 - 1)):
        labels = fastremap.renumber(np.ascontiguousarray(labels), in_place=False)[0]
    return np.ascontiguousarray(labels, np.int32)
