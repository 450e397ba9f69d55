"""Nuclei for given cells: where they would lie, and how far each voxel is from the border of its cell."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from bigcell.core.borders import borders
from bigcell.core.volume import Array


def edge_distance(labels: Array, step: Array) -> Array:
    """How far each voxel is from the border of its cell, float32, in the unit of `step` (z, y, x).

    Voxels on both sides of a border are at distance 0; the end of the volume is none. Infinite without any border.
    """
    border = borders(labels)
    if not border.any():
        return np.full(labels.shape, np.inf, np.float32)
    return np.asarray(ndimage.distance_transform_edt(~border, sampling=step), np.float32)


def place_nuclei(
    labels: Array, step: Array, rng: np.random.Generator, *, share: tuple[float, float] = (0.1, 0.25)
) -> Array:
    """A nucleus in each cell of `labels` (z, y, x), 1..n: the same ids, where nuclei are.

    Each is an ellipsoid as its cell is long there, around a place far from the border, and takes between the two parts
    of `share` of the cell. It is in one piece and touches the border only where the cell is thinner than two voxels.
    """
    edge, out = edge_distance(labels, step), np.zeros_like(labels)
    for i, box in enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1):
        if box is not None:
            inside = labels[box] == i
            out[box][_nucleus(inside, edge[box], step, rng.uniform(*share), rng)] = i
    return out


def _nucleus(inside: Array, edge: Array, step: Array, share: float, rng: np.random.Generator) -> Array:
    """The part of the cell `inside`, by Mahalanobis distance from a place deep in it, that its nucleus takes."""
    places = np.argwhere(inside) * step
    deep = np.nan_to_num(edge[inside], posinf=float(np.abs(step).max()))
    centre = places[rng.choice(np.flatnonzero(deep >= 0.8 * deep.max()))]
    gaps = places - centre
    near = (gaps**2).sum(1) <= (2 * deep.max() + step.max()) ** 2
    form = gaps[near].T @ gaps[near] / near.sum() + np.diag(step**2) / 4
    far = np.einsum("ni,ij,nj->n", gaps, np.linalg.inv(form), gaps)
    if deep.max() > 0:
        far[deep <= 0] = np.inf
    count = min(max(1, round(share * len(places))), int(np.isfinite(far).sum()))
    nucleus = np.zeros(inside.shape, bool)
    nucleus[tuple(np.argwhere(inside)[np.argsort(far, kind="stable")[:count]].T)] = True
    pieces, found = ndimage.label(nucleus)
    if found > 1:
        nucleus = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
    return nucleus
