"""Steps that clean objects, each at the block that owns its sink: those that do not fit their flows go, holes close."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.dynamics.clean import holes, holes_of_objects
from bigcell.engine.tasks.job import Job
from bigcell.engine.tasks.label_windows import NamedLabels, Tables, plane_windows, whole_windows
from bigcell.engine.tasks.objects import load_pieces, save_pieces
from bigcell.flows.compare import flow_errors
from bigcell.stitch.clean import CLEAN_LIMIT, claims, is_whole
from bigcell.stitch.pieces import Pieces


def check(job: Job, item: tuple[int]) -> dict[str, Any]:
    """The objects of a block whose flows are those that they ought to have, within the threshold."""
    block = item[0]
    objects = load_pieces(job, f"objects/{block}")
    sides = objects.high - objects.low
    small = np.prod(sides, axis=1) <= CLEAN_LIMIT
    stays = np.ones(len(objects), bool)
    checked = small & is_whole(objects.low, objects.high, job.plan.extent) if job.plan.is_solid else small
    if checked.any():
        chosen = np.flatnonzero(checked)
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
    chosen = objects.take(fits & objects.may_have_holes(job.grid))
    tables, count, patches = Tables(job), 0, dict[int, list[str]]()
    windows = plane_windows(chosen, job.grid.core(block).start[0], job.plan.is_flat)
    for number, (rows, window) in enumerate(windows):
        names, place = _claimed(tables, chosen.take(rows), window)
        objects = _with_voxels(objects, names, place)
        count += len(names)
        for k in _send(job, f"{block}-{number}", names, place):
            patches.setdefault(k, []).append(f"{k}-{block}-{number}")
    save_pieces(job, f"filled/{block}", objects)
    return {"filled": count, "unfilled": int(np.sum(~fits)), "patches": sorted(patches.items())}


def _claimed(tables: Tables, objects: Pieces, window: Box) -> tuple[Array, Array]:
    """Every voxel in a window that one of the objects claims: its name (n,) int64 and its place (n, 3) int64."""
    labels = NamedLabels.read(tables, window)
    stays = labels.kept(tables, tables.job.plan.sound)
    start, stop = np.array(window.start), np.array(window.stop)
    boxes = np.stack([np.maximum(objects.low, start) - start, np.minimum(objects.high, stop) - start], 2)
    row, place, contested = holes_of_objects(labels.values, boxes, labels.numbers(objects.name), stays)
    free = ~contested[row]
    rows, places = [row[free]], [place[free]]
    for i in np.flatnonzero(contested):
        crop = labels.values[tuple(slice(a, b) for a, b in boxes[i])]
        places.append(_contested(crop, int(labels.numbers(objects.name[i])), stays) + boxes[i, :, 0])
        rows.append(np.full(len(places[-1]), i))
    return objects.name[np.concatenate(rows)], np.concatenate(places) + start


def _contested(crop: Array, number: int, stays: Array) -> Array:
    """The voxels (n, 3) of its holes that object `number` claims where others that stay are in them."""
    inside = holes(crop == number)
    mine = np.zeros(crop.shape, bool)
    for z in np.flatnonzero(inside.any((1, 2))):
        mine[z] = claims(np.where(stays[crop[z]], crop[z], 0), number, inside[z])
    return np.argwhere(mine)


def _with_voxels(objects: Pieces, names: Array, place: Array) -> Pieces:
    """`objects` with the voxels that they claimed counted in; boxes stay, as holes lie within."""
    row = np.searchsorted(objects.name, names)
    count, total = objects.voxels.copy(), objects.total.copy()
    np.add.at(count, row, 1)
    np.add.at(total, row, place)
    return replace(objects, voxels=count, total=total)


def _send(job: Job, sender: str, names: Array, place: Array) -> list[int]:
    """Leave claimed voxels with the blocks that hold them. Returns those blocks."""
    to = job.grid.owners(list(place.T))
    for k in np.unique(to):
        mine = to == k
        core = job.grid.core(int(k))
        at = np.ravel_multi_index(tuple((place[mine] - np.array(core.start)).T), core.shape)
        job.scratch.save(f"patches/{k}-{sender}", {"at": at, "name": names[mine]})
    return [int(k) for k in np.unique(to)]
