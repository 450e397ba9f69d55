"""Steps that clean objects, each at the block that owns its sink: those that do not fit their flows go, holes close."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.dynamics.clean import holes
from bigcell.engine.job import Job
from bigcell.engine.label_windows import NamedLabels, Tables, plane_windows, whole_windows
from bigcell.engine.object_steps import load_pieces, save_pieces
from bigcell.flows.compare import flow_errors
from bigcell.stitch.clean import CLEAN_LIMIT, claims
from bigcell.stitch.pieces import Pieces


def check(job: Job, item: tuple[int]) -> dict[str, Any]:
    """The objects of a block whose flows are those that they ought to have, within the threshold."""
    block = item[0]
    objects = load_pieces(job, f"objects/{block}")
    sides = objects.high - objects.low
    small = np.prod(sides, axis=1) <= CLEAN_LIMIT
    stays = np.ones(len(objects), bool)
    if small.any():
        chosen = np.flatnonzero(small)
        stays[chosen] = _errors(job, objects.take(chosen)) <= job.plan.flow_threshold
    save_pieces(job, f"checked/{block}", objects.take(stays))
    return {"unfit": int(np.sum(~stays)), "unchecked": int(np.sum(~small))}


def _errors(job: Job, objects: Pieces) -> Array:
    """The flow error of each object, from its own voxels and the flows they were found by."""
    tables, errors = Tables(job), np.zeros(len(objects))
    for rows, box in whole_windows(objects, job.plan.is_flat):
        own = NamedLabels.read(tables, box).only(objects.name[rows])
        errors[rows] = flow_errors(own, job.flows(box)[:3])
    return errors


def fill(job: Job, item: tuple[int]) -> dict[str, Any]:
    """Give the objects of a block what their holes hold. Leaves the voxels with the blocks that they lie in."""
    block = item[0]
    objects = load_pieces(job, f"{job.plan.sound}/{block}")
    fits = np.prod((objects.high - objects.low)[:, 1:], axis=1) <= CLEAN_LIMIT
    chosen = np.flatnonzero(fits & objects.may_have_holes(job.grid))
    voxels = _claimed(job, objects.take(chosen), job.grid.core(block).start[0])
    objects = _with_voxels(objects, voxels)
    save_pieces(job, f"filled/{block}", objects)
    to = _send(job, block, voxels)
    return {"filled": len(voxels), "unfilled": int(np.sum(~fits)), "to": to}


def _claimed(job: Job, objects: Pieces, origin: int) -> Array:
    """Every voxel that an object claims: (n, 4) int64, its name and z, y, x. `origin`: where the block begins in z."""
    found: list[Array] = [np.zeros((0, 4), np.int64)]
    tables = Tables(job)
    for rows, window in plane_windows(objects, origin, job.plan.is_flat):
        labels = NamedLabels.read(tables, window)
        stays: Array | None = None
        for row, number in zip(rows, labels.numbers(objects.name[rows]), strict=True):
            box = Box(tuple(objects.low[row].tolist()), tuple(objects.high[row].tolist())) & window
            crop = labels.values[box.relative_to(window).slices]
            if not _has_gap(crop, number) or not (inside := holes(crop == number)).any():
                continue
            if stays is None:
                stays = labels.kept(tables, job.plan.sound)
            found.append(_claims_of(crop, int(number), inside, stays) + np.array([0, *box.start]))
            found[-1][:, 0] = objects.name[row]
    return np.concatenate(found)


def _claims_of(crop: Array, number: int, inside: Array, stays: Array) -> Array:
    """Voxels of `crop` that object `number` claims, (n, 4) with z, y, x in the last three columns."""
    found = [np.zeros((0, 4), np.int64)]
    for z in np.flatnonzero(inside.any((1, 2))):
        yx = np.argwhere(claims(np.where(stays[crop[z]], crop[z], 0), number, inside[z]))
        found.append(np.column_stack([np.zeros((len(yx), 1), np.int64), np.full((len(yx), 1), z), yx]))
    return np.concatenate(found)


@njit(cache=True, nogil=True)
def _has_gap(labels, name):  # type: ignore[no-untyped-def]
    """Whether some row of `labels` has something else between two voxels of `name`: without, there is no hole."""
    for z in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            seen, left = False, False
            for x in range(labels.shape[2]):
                if labels[z, y, x] == name:
                    if left:
                        return True
                    seen = True
                else:
                    left = seen
    return False


def _with_voxels(objects: Pieces, voxels: Array) -> Pieces:
    """`objects` with the voxels that they claimed counted in; boxes stay, as holes lie within."""
    row = np.searchsorted(objects.name, voxels[:, 0])
    count, total = objects.voxels.copy(), objects.total.copy()
    np.add.at(count, row, 1)
    np.add.at(total, row, voxels[:, 1:])
    return replace(objects, voxels=count, total=total)


def _send(job: Job, block: int, voxels: Array) -> list[int]:
    """Leave claimed voxels with the blocks that hold them. Returns those blocks."""
    to = job.grid.owners(list(voxels[:, 1:].T))
    for k in np.unique(to):
        mine = voxels[to == k]
        core = job.grid.core(int(k))
        at = np.ravel_multi_index(tuple((mine[:, 1:] - np.array(core.start)).T), core.shape)
        job.scratch.save(f"patches/{k}-{block}", {"at": at, "name": mine[:, 0]})
    return [int(k) for k in np.unique(to)]
