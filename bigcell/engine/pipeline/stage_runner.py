"""The loop: stage after stage, task after task, skipping what the journal says is done."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.engine.pipeline import stage_tasks
from bigcell.engine.pipeline.displacement_bounds import Reach
from bigcell.engine.pipeline.failures import Failures, survive
from bigcell.engine.pipeline.intensity_levels import settle_contrast
from bigcell.engine.pipeline.lazy_tasks import Items, Pending
from bigcell.engine.pipeline.slabs import roll, slab_layers
from bigcell.engine.planning.bad_chunks import bad_chunk_notice, bad_chunks
from bigcell.engine.planning.foreground import skipped_notice
from bigcell.engine.runtime.events import Listener, Notice, StageFinished, StageStarted, TaskDone, ignore
from bigcell.engine.runtime.executors import Executor, SerialExecutor
from bigcell.engine.tasks import write_labels as label_tasks
from bigcell.engine.tasks.assign_ids import table_parts
from bigcell.engine.tasks.job import Job, Labels
from bigcell.engine.tasks.stores import is_made, make_store
from bigcell.io.flows import FlowStore, create_flows
from bigcell.io.tables import ObjectTable
from bigcell.stitch.clean import CLEAN_LIMIT
from bigcell.tiling.grid import BlockGrid

Note = dict[str, Any]
"""The small result of a task."""
Take = Callable[[str, Note], object]
"""What is done with the result of every task of a stage, by the task's key."""
Patches = dict[int, tuple[str, ...]]
"""Blocks with voxels of holes that objects claimed, each with the entries that hold them."""
MakeLabels = Callable[[int], Labels]
"""Given the number of objects, the place for the labels."""


@dataclass(frozen=True)
class Result:
    """What a run made. `path` is where the labels are, a URL where they are in an object store; labels in memory are in
    `labels` (z, y, x), or (y, x) for 2-D.

    `objects` counts them. `counts` and `stages` are for the record: tasks done now and found done, tiles, seconds.
    """

    objects: int
    path: Path | str | None = None
    labels: Array | None = None
    table: dict[str, Array] | None = None
    counts: dict[str, int] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)


def _forget(key: str, note: Note) -> None:
    """For stages whose results nobody asks for."""


@dataclass
class Run:
    """One run of a job on an executor. `job` grows as stages add to it.

    Held for every block: a few numbers in arrays. Items are made, and results used up, one by one.
    """

    job: Job
    executor: Executor = field(default_factory=SerialExecutor)
    listener: Listener = ignore
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    sums: dict[str, Counter[str]] = field(default_factory=dict)
    """What the tasks of each stage counted, added up."""
    digests: bytes = b""
    """The SHA-256 of every region of the labels, one after the other."""

    def stage(
        self, name: str, items: Iterable[Any], voxels: Sequence[int] | Array | int = 0, take: Take = _forget
    ) -> None:
        """Do every item of a stage that the journal does not hold. `take` gets the small results of all of them.

        `voxels`: how many each item stands for, for those who watch.
        """
        held = Items.of(items)
        sizes = np.full(len(held), voxels) if isinstance(voxels, int) else np.asarray(voxels)
        whole = stage_tasks.Whole(name, len(held), int(sizes.sum()), Failures(name, self.listener))
        self.part(whole, held, sizes, take)
        whole.failures.settle(len(held))

    def part(self, whole: stage_tasks.Whole, items: Items, sizes: Array, take: Take = _forget) -> bool:
        """As `stage`, of some of its items: `sizes` are the voxels of each. Whether none of them failed."""
        name, begun, failed = whole.stage, time.perf_counter(), len(whole.failures.found)
        assert len(sizes) == len(items), (name, len(sizes), len(items))
        count = self._counted(name, take)
        todo = self._missing(name, items, count) if whole.resumed else range(len(items))
        self.listener(StageStarted(name, whole.total, whole.done + len(items) - len(todo), whole.voxels))
        if len(todo):
            self.executor.begin(name)
        for i, note in survive(self.executor, self.job, name, Pending(items, todo)):
            key = items.key(i)
            if whole.failures.took(key, note):
                continue
            count(key, note)
            self.listener(TaskDone(name, key, int(sizes[i]), note["seconds"], note["peak"]))
        failed = len(whole.failures.found) - failed
        whole.done += len(items) - failed
        seconds, entry = time.perf_counter() - begun, self.stages[name]
        entry["tasks"] += len(items)
        entry["run"] += len(todo)
        entry["seconds"] = round(entry["seconds"] + seconds, 2)
        if not failed:
            self.listener(StageFinished(name, seconds))
        return not failed

    def _counted(self, name: str, take: Take) -> Callable[[str, Note], None]:
        """Adds a result up, then gives it to `take`."""
        entry = self.stages.setdefault(name, {"tasks": 0, "run": 0, "seconds": 0.0, "peak_bytes": 0})
        sums = self.sums.setdefault(name, Counter())

        def count(key: str, note: Note) -> None:
            entry["peak_bytes"] = max(entry["peak_bytes"], note["peak"])
            sums.update({k: v for k, v in note.items() if isinstance(v, int) and k != "peak"})
            take(key, note)

        return count

    def _missing(self, name: str, items: Items, count: Callable[[str, Note], None]) -> Sequence[int] | array[int]:
        """The places of the tasks that the journal does not hold; the results of the others are counted."""
        done = self.job.journal.finished(name)
        if not done:
            return range(len(items))
        missing = array("q")
        for i in range(len(items)):
            note = done.get(items.key(i))
            if note is None:
                missing.append(i)
            else:
                count(items.key(i), note)
        return missing

    @property
    def blocks(self) -> Sequence[int]:
        """The blocks that are worked on, ascending: all, but for those that have nothing to do with the foreground."""
        return self.job.lively(range(len(self.job.grid)))

    @property
    def sizes(self) -> Array:
        """Voxels of each of them."""
        sizes, blocks = self.job.grid.sizes, self.blocks
        return sizes if isinstance(blocks, range) else sizes[blocks]


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


def measure(run: Run) -> None:
    """What is black and what is white everywhere, from as many passes over the image as it takes. Then tell what was
    decided beforehand."""
    for text in settle_contrast(run.job, run.stage):
        run.listener(Notice(text))
    filled = run.sums.get("refine", Counter())["nan"]
    if filled:
        run.listener(Notice(f"{filled} voxels are NaN and count as {run.job.plan.settings.normalize.fill_nan:g}"))
    for text in run.job.plan.notes:
        run.listener(Notice(text))


def predict(run: Run) -> None:
    """Run the network over every tile, once."""
    texts: set[str] = set()
    items, voxels = stage_tasks.predict_tasks(run.job, range(len(run.job.lattice.cubes)))
    run.stage("predict", items, voxels, lambda _, note: texts.update(note["notes"]))
    for text in sorted(texts):
        run.listener(Notice(text))


def make_kept(run: Run, kept: FlowStore) -> None:
    """A store for the flows, for masks with other thresholds later."""
    if not is_made(run.job, "flows"):
        make_store(run.job, "flows", "keep", lambda: create_flows(kept))


def find_by_stage(run: Run) -> None:
    """From image or flows to the objects of each block, stage after stage."""
    if run.job.given is None:
        predict(run)
    if run.job.kept is not None:
        regions = list(run.job.kept.regions())
        run.stage("keep", stage_tasks.keep_tasks(range(len(regions)), regions), [box.size for box in regions])
    find_objects(run, follow_all(run))
    check_objects(run)


def follow_all(run: Run) -> Reach:
    """Follow every foreground voxel to its end. Returns how far the voxels of each block went."""
    reach, mail = np.full(len(run.job.grid), -1, np.int32), dict[int, list[int]]()  # -1: skipped, no voxel comes of it

    def arrived(key: str, note: Note) -> None:
        reach[int(key)] = note["reach"]
        if note.get("to"):
            mail[int(key)] = note["to"]

    run.stage("follow", _each(run), run.sizes, arrived)
    if mail:
        waiting = sorted(mail)
        run.stage("settle", stage_tasks.settle_tasks(waiting, _deliver(run, mail)), take=arrived)
    return Reach.of(run.job.grid, reach, planar=run.job.plan.is_planar)


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
        run.stage("drain", items, take=notes.__setitem__)
        for key, _, block, _ in items:
            for home in notes[key]["homes"]:
                returns.setdefault(home, []).append(f"{turn}-{block}")
        sent = {block: notes[key]["to"] for key, _, block, _ in items if notes[key]["to"]}
        turn += 1
    return returns


def find_objects(run: Run, reach: Reach) -> None:
    """Sinks, labels named by them, and the rows of whole objects at the blocks that own their sinks."""
    job, blocks = run.job, run.blocks
    run.stage("sinks", stage_tasks.sinks_tasks(job, reach, blocks), run.sizes)
    run.stage("name", stage_tasks.name_tasks(job, reach, blocks), run.sizes)
    run.stage("reduce", stage_tasks.reduce_tasks(job, reach, blocks))


def check_objects(run: Run) -> None:
    """Drop what does not fit its flows."""
    if run.job.plan.flow_threshold:
        run.stage("check", _each(run), run.sizes)


def fill_holes(run: Run) -> Patches:
    """Give objects what their holes hold. Returns where the voxels of holes stand."""
    plan, patches = run.job.plan, dict[int, list[str]]()

    def lay_out(_: str, note: Note) -> None:
        for block, entries in note["patches"]:
            patches.setdefault(block, []).extend(entries)

    if plan.flow_threshold:
        _tell_left_out(run, run.sums["check"]["unchecked"], "checked against their flows")
    if plan.settings.clean.fill_holes:
        run.stage("fill", _each(run), run.sizes, lay_out)
        _tell_left_out(run, run.sums["fill"]["unfilled"], "looked through for holes")
    return {block: tuple(sorted(entries, key=stage_tasks.by_number)) for block, entries in patches.items()}


def _each(run: Run, make: Callable[[int], Any] = lambda k: (k,)) -> Items:
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
        blocks = run.job.lively(layers[i])
        own = (f"{run.job.plan.final}/{k}" for k in blocks)
        return i, blocks, tuple(own if linked is None else linked[i])

    def counted(key: str, note: Note) -> None:
        counts[int(key)] = note["count"]

    run.stage("number", Items(len(layers), make), take=counted)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    run.job = replace(run.job, offsets=tuple(int(o) for o in offsets))
    return int(offsets[-1])


def link_planes(run: Run, patches: Patches) -> dict[int, list[str]]:
    """Link the objects of planes. Returns, for each layer, the entries that add to the objects that begin in it."""
    grid = run.job.grid

    def shared(k: int) -> tuple[int, tuple[tuple[int, tuple[str, ...]], ...]]:
        return k, tuple((j, patches.get(j, ())) for j in grid.touching(grid.core(k).grow((1, 0, 0))))

    labelled = np.union1d(run.blocks, np.array(list(patches), np.int64)).tolist()  # a hole may hold a skipped block
    run.stage("overlap", stage_tasks.of_blocks(labelled, shared), grid.sizes[labelled])
    entries: dict[int, list[str]] = {i: [] for i in range(len(grid.layers))}

    def added(key: str, note: Note) -> None:
        for first in note["layers"]:
            entries[first].append(f"linked/{first}-{key}")

    for i, layer in enumerate(grid.layers):  # each needs what the one before it carried on
        pairs = labelled[bisect_left(labelled, layer.start) : bisect_left(labelled, layer.stop)]
        run.stage("link", [(i, run.job.lively(layer), pairs)], take=added)
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
    run.stage("apply", stage_tasks.of_blocks(chosen, make), regions.sizes[np.asarray(chosen, np.int64)], written)
    if len(chosen) < len(regions):
        for i in np.setdiff1d(range(len(regions)), chosen).tolist():
            digests[i] = np.frombuffer(label_tasks.empty_digest(regions.core(i).shape), np.uint8)
    run.digests = digests.tobytes()
    for level in range(label_tasks.levels_in_pass(labels), len(labels.levels)):
        coarse = label_tasks.regions(labels, level)
        items = [(f"{level}-{i}", level, coarse.core(i)) for i in range(len(coarse))]
        run.stage("coarsen", items, coarse.sizes)


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
    run.stage("table", table_parts(run.job.offsets[-1]))
