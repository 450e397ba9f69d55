"""From an image, or flows that are given, to labels: the stages in their order."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bigcell.core.box import Box
from bigcell.engine.pipeline import stage_tasks
from bigcell.engine.pipeline.displacement_bounds import DisplacementBounds
from bigcell.engine.pipeline.intensity_levels import settle_contrast
from bigcell.engine.pipeline.lazy_tasks import LazyTasks
from bigcell.engine.pipeline.slabs import roll, slab_layers
from bigcell.engine.pipeline.stage_runner import Note, Run
from bigcell.engine.planning.bad_chunks import bad_chunk_notice, bad_chunks
from bigcell.engine.planning.plan import skipped_notice
from bigcell.engine.runtime.events import Notice
from bigcell.engine.tasks import write_labels as label_tasks
from bigcell.engine.tasks.assign_ids import table_parts
from bigcell.engine.tasks.job import Labels
from bigcell.engine.tasks.stores import is_made, make_store
from bigcell.io.ngff.flow_store import FlowStore, create_flows
from bigcell.io.tables import ObjectTable
from bigcell.stitch.clean import CLEAN_LIMIT
from bigcell.tiling.grid import BlockGrid

Patches = dict[int, tuple[str, ...]]
"""Blocks with voxels of holes that objects claimed, each with the entries that hold them."""
MakeLabels = Callable[[int], Labels]
"""Given the number of objects, the place for the labels."""


def segment_volume(run: Run, make_labels: MakeLabels) -> int:
    """From image (or given flows) to final labels: the whole road. Returns the number of objects."""
    tell_skipped(run)
    if run.job.given is None:
        measure(run)
    if run.job.kept is not None:
        make_kept(run, run.job.kept)
    layers = slab_layers(run)
    if layers:
        roll(run, layers)
    else:
        find_by_stage(run)
    tell_bad_chunks(run)
    patches = fill_holes(run)
    count = number_objects(run, patches)
    tell_none_fits(run, count)
    run.job = replace(run.job, labels=make_labels(count))
    write_labels(run, patches)
    return count


def tell_skipped(run: Run) -> None:
    """Say how much is skipped because there is no foreground."""
    if run.job.plan.foreground is not None:
        run.listener(Notice(skipped_notice(run.job.plan)))


def tell_bad_chunks(run: Run) -> None:
    """Say which chunks of the input were taken as empty."""
    bad = bad_chunks(run.job.scratch)
    if bad:
        run.listener(Notice(bad_chunk_notice(bad)))


def tell_none_fits(run: Run, count: int) -> None:
    """Say it where no object is left because none fits its flows."""
    unfit, threshold = run.sums.get("filter_by_flow_error", Counter())["unfit"], run.job.plan.flow_threshold
    option = "--flow-threshold-3d" if run.job.plan.is_solid else "--flow-threshold"
    if unfit and not count:
        text = f"objects found: {unfit}; left: 0, as the flow error of each is above {threshold:g}. The model may not "
        text += f"know such images: look at --channel and --diameter, or keep the objects with {option} 0"
        run.listener(Notice(text))


def measure(run: Run) -> None:
    """What is black and what is white everywhere, from as many passes over the image as it takes. Then tell what was
    decided beforehand."""
    for text in settle_contrast(run.job, run.stage):
        run.listener(Notice(text))
    filled = run.sums.get("refine_statistics", Counter())["nan"]
    if filled:
        run.listener(Notice(f"{filled} voxels are NaN and count as {run.job.plan.settings.normalize.fill_nan:g}"))
    for text in run.job.plan.notes:
        run.listener(Notice(text))


def predict(run: Run) -> None:
    """Run the network over every tile, once."""
    texts: set[str] = set()
    items, voxels = stage_tasks.predict_tasks(run.job, range(len(run.job.lattice.cubes)))
    run.stage("predict_flows", items, voxels, lambda _, note: texts.update(note["notes"]))
    for text in sorted(texts):
        run.listener(Notice(text))


def make_kept(run: Run, kept: FlowStore) -> None:
    """A store for the flows, for masks with other thresholds later."""
    if not is_made(run.job, "flows"):
        make_store(run.job, "flows", "save_flows", lambda: create_flows(kept))


def find_by_stage(run: Run) -> None:
    """From image or flows to the objects of each block, stage after stage."""
    if run.job.given is None:
        predict(run)
    if run.job.kept is not None:
        regions = list(run.job.kept.regions())
        run.stage("save_flows", stage_tasks.keep_tasks(range(len(regions)), regions), [box.size for box in regions])
    find_objects(run, follow_all(run))
    check_objects(run)


def follow_all(run: Run) -> DisplacementBounds:
    """Follow every foreground voxel to its end. Returns how far the voxels of each block went."""
    reach, mail = np.full(len(run.job.grid), -1, np.int32), dict[int, list[int]]()  # -1: skipped, no voxel comes of it

    def arrived(key: str, note: Note) -> None:
        reach[int(key)] = note["reach"]
        if note.get("to"):
            mail[int(key)] = note["to"]

    run.stage("follow_flows", _each(run), run.sizes, arrived)
    if mail:
        waiting = sorted(mail)
        run.stage("collect_ends", stage_tasks.settle_tasks(waiting, _deliver(run, mail)), take=arrived)
    return DisplacementBounds.of(run.job.grid, reach, planar=run.job.plan.is_planar)


def _deliver(run: Run, sent: dict[int, list[int]]) -> stage_tasks.Returns:
    """Follow voxels from block to block until all have arrived. Returns, for each block, what came back to it."""
    returns: stage_tasks.Returns = {}
    turn = 1
    while sent:
        mail: stage_tasks.Mail = {}
        for sender, receivers in sorted(sent.items()):
            for receiver in receivers:
                mail.setdefault(receiver, []).append(sender)
        notes: dict[str, Note] = {}
        items = stage_tasks.drain_tasks(turn, mail)
        run.stage("exchange_migrants", items, take=notes.__setitem__)
        for key, _, block, _ in items:
            for home in notes[key]["homes"]:
                returns.setdefault(home, []).append(f"{turn}-{block}")
        sent = {block: notes[key]["to"] for key, _, block, _ in items if notes[key]["to"]}
        turn += 1
    return returns


def find_objects(run: Run, reach: DisplacementBounds) -> None:
    """Sinks, labels named by them, and the rows of whole objects at the blocks that own their sinks."""
    job, blocks = run.job, run.blocks
    run.stage("find_sinks", stage_tasks.sinks_tasks(job, reach, blocks), run.sizes)
    run.stage("label_blocks", stage_tasks.name_tasks(job, reach, blocks), run.sizes)
    run.stage("merge_objects", stage_tasks.reduce_tasks(job, reach, blocks))


def check_objects(run: Run) -> None:
    """Drop what does not fit its flows."""
    if run.job.plan.flow_threshold:
        run.stage("filter_by_flow_error", _each(run), run.sizes)


def fill_holes(run: Run) -> Patches:
    """Give objects what their holes hold. Returns where the voxels of holes stand."""
    plan, patches = run.job.plan, dict[int, list[str]]()

    def lay_out(_: str, note: Note) -> None:
        for block, entries in note["patches"]:
            patches.setdefault(block, []).extend(entries)

    if plan.flow_threshold:
        _tell_left_out(run, run.sums["filter_by_flow_error"]["unchecked"], "checked against their flows")
    if plan.settings.clean.fill_holes:
        run.stage("fill_holes", _each(run), run.sizes, lay_out)
        _tell_left_out(run, run.sums["fill_holes"]["unfilled"], "looked through for holes")
    return {block: tuple(sorted(entries, key=stage_tasks.by_number)) for block, entries in patches.items()}


def _each(run: Run, make: Callable[[int], Any] = lambda k: (k,)) -> LazyTasks:
    """One item for each block."""
    return stage_tasks.of_blocks(run.blocks, make)


def _tell_left_out(run: Run, count: int, what: str) -> None:
    if count:
        run.listener(Notice(f"{count} objects of more than {CLEAN_LIMIT} voxels (box) are too large to be {what}"))


def number_objects(run: Run, patches: Patches) -> int:
    """Final numbers, layer by layer. Returns how many objects there are."""
    layers = run.job.grid.layers
    counts = np.zeros(len(layers), np.int64)
    linked = link_planes(run, patches) if run.job.plan.links else None

    def make(i: int) -> tuple[int, Sequence[int], tuple[str, ...]]:
        blocks = run.job.active_blocks(layers[i])
        own = (f"{run.job.plan.final}/{k}" for k in blocks)
        return i, blocks, tuple(own if linked is None else linked[i])

    def counted(key: str, note: Note) -> None:
        counts[int(key)] = note["count"]

    run.stage("assign_ids", LazyTasks(len(layers), make), take=counted)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    run.job = replace(run.job, offsets=tuple(int(o) for o in offsets))
    return int(offsets[-1])


def link_planes(run: Run, patches: Patches) -> dict[int, list[str]]:
    """Link the objects of planes. Returns, for each layer, the entries that add to the objects that begin in it."""
    grid = run.job.grid

    def shared(k: int) -> tuple[int, tuple[tuple[int, tuple[str, ...]], ...]]:
        return k, tuple((j, patches.get(j, ())) for j in grid.touching(grid.core(k).grow((1, 0, 0))))

    labelled = np.union1d(run.blocks, np.array(list(patches), np.int64)).tolist()  # a hole may hold a skipped block
    run.stage("plane_overlaps", stage_tasks.of_blocks(labelled, shared), grid.sizes[labelled])
    entries: dict[int, list[str]] = {i: [] for i in range(len(grid.layers))}

    def added(key: str, note: Note) -> None:
        for first in note["layers"]:
            entries[first].append(f"linked/{first}-{key}")

    for i, layer in enumerate(grid.layers):  # each needs what the one before it carried on
        pairs = labelled[bisect_left(labelled, layer.start) : bisect_left(labelled, layer.stop)]
        run.stage("link_planes", [(i, run.job.active_blocks(layer), pairs)], take=added)
    return entries


def write_labels(run: Run, patches: Patches) -> None:
    """Final labels and their pyramid."""
    labels, grid = run.job.labels, run.job.grid
    assert labels is not None
    regions = label_tasks.regions(labels, 0)
    digests = np.zeros((len(regions), 32), np.uint8)

    def make(i: int) -> tuple[str, Box, tuple[tuple[int, tuple[str, ...]], ...]]:
        box = regions.core(i)
        return str(i), box, tuple((k, patches.get(k, ())) for k in grid.touching(box))

    def written(key: str, note: Note) -> None:
        digests[int(key)] = np.frombuffer(bytes.fromhex(note["sha256"]), np.uint8)

    chosen = _regions_to_write(run, regions, patches)
    run.stage("write_labels", stage_tasks.of_blocks(chosen, make), regions.sizes[np.asarray(chosen, np.int64)], written)
    if len(chosen) < len(regions):
        for i in np.setdiff1d(range(len(regions)), chosen).tolist():
            digests[i] = np.frombuffer(label_tasks.empty_digest(regions.core(i).shape), np.uint8)
    run.digests = digests.tobytes()
    for level in range(label_tasks.levels_in_pass(labels), len(labels.levels)):
        coarse = label_tasks.regions(labels, level)
        items = [(f"{level}-{i}", level, coarse.core(i)) for i in range(len(coarse))]
        run.stage("downsample", items, coarse.sizes)


def _regions_to_write(run: Run, regions: BlockGrid, patches: Patches) -> Sequence[int]:
    """Those of the regions that anything may be labelled in."""
    grid, every = run.job.grid, range(len(regions))
    if run.job.foreground is None:
        return every
    labelled = np.zeros(len(grid), bool)
    labelled[[*run.blocks, *patches]] = True
    return [i for i in every if any(labelled[k] for k in grid.touching(regions.core(i)))]


def write_table(run: Run, table: ObjectTable) -> None:
    """The object table, when all objects have their numbers."""
    run.job = replace(run.job, table=table)
    run.stage("write_table", table_parts(run.job.offsets[-1]))
