"""The loop: stage after stage, task after task, skipping what the journal says is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bigcell.core.errors import BigcellError, BlockError
from bigcell.core.volume import Array
from bigcell.dynamics.settings import GROW_STEPS, SINK_HALO
from bigcell.engine import label_steps
from bigcell.engine.events import Listener, Notice, StageFinished, StageStarted, TaskDone, ignore
from bigcell.engine.executors import Executor, SerialExecutor
from bigcell.engine.follow_steps import blocks_reaching
from bigcell.engine.intensity import settle_contrast
from bigcell.engine.job import Job, Labels
from bigcell.engine.object_steps import load_pieces
from bigcell.engine.steps import key_of, perform
from bigcell.io.flows import create_flows
from bigcell.stitch.clean import CLEAN_LIMIT
from bigcell.stitch.pieces import Pieces

Notes = dict[str, dict[str, Any]]
Patches = dict[int, tuple[str, ...]]
"""Blocks with voxels of holes that objects claimed, each with the entries that hold them."""
MakeLabels = Callable[[int], Labels]
"""Given the number of objects, the place for the labels."""


@dataclass(frozen=True)
class Result:
    """What a run made. `path` is where the labels are; labels in memory are in `labels` (z, y, x), or (y, x) for 2-D.

    `objects` counts them. `counts` and `stages` are for the record: tasks done now and found done, tiles, seconds.
    """

    objects: int
    path: Path | None = None
    labels: Array | None = None
    table: dict[str, Array] | None = None
    counts: dict[str, int] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Run:
    """One run of a job on an executor. `job` grows as stages add to it."""

    job: Job
    executor: Executor = field(default_factory=SerialExecutor)
    listener: Listener = ignore
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)

    def stage(self, name: str, items: Iterable[Any], voxels: Sequence[int] | int = 0) -> Notes:
        """Do every item of a stage that the journal does not hold. Returns the small results of all of them."""
        every = list(items)
        notes = self.job.journal.finished(name)
        todo = [item for item in every if key_of(item) not in notes]
        each = dict(zip(map(key_of, every), voxels, strict=True)) if not isinstance(voxels, int) else {}
        self.listener(StageStarted(name, len(every), len(every) - len(todo), sum(each.values())))
        begun = time.perf_counter()
        for key, note in self.executor.map(partial(_perform, self.job, name), todo):
            notes[key] = note
            self.listener(TaskDone(name, key, each.get(key, 0), note["seconds"], note["peak"]))
        seconds = time.perf_counter() - begun
        before = self.stages.get(name, {"tasks": 0, "run": 0, "seconds": 0.0})  # some stages take several turns
        self.stages[name] = {
            "tasks": before["tasks"] + len(every),
            "run": before["run"] + len(todo),
            "seconds": round(before["seconds"] + seconds, 2),
            "peak_bytes": max((n["peak"] for n in notes.values()), default=0),
        }
        self.listener(StageFinished(name, seconds))
        return notes

    @property
    def blocks(self) -> range:
        return range(len(self.job.grid))

    @property
    def sizes(self) -> list[int]:
        return [self.job.grid.core(k).size for k in self.blocks]


def _perform(job: Job, stage: str, item: Any) -> tuple[str, dict[str, Any]]:
    try:
        return perform(job, stage, item)
    except (BigcellError, MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise BlockError(f"{stage} of {key_of(item)} failed: {type(error).__name__}: {error}") from error


def segment_volume(run: Run, make_labels: MakeLabels) -> int:
    """From image (or given flows) to final labels: the whole road. Returns the number of objects."""
    if run.job.given is None:
        measure(run)
        predict(run)
    if run.job.kept is not None:
        keep_flows(run)
    reach = follow_all(run)
    find_objects(run, reach)
    patches = clean_objects(run)
    count = number_objects(run, patches)
    run.job = replace(run.job, labels=make_labels(count))
    write_labels(run, patches)
    return count


def measure(run: Run) -> None:
    """What is black and what is white everywhere, from as many passes over the image as it takes."""
    for text in settle_contrast(run.job, run.stage):
        run.listener(Notice(text))


def predict(run: Run) -> None:
    """Run the network over every tile, once. Cubes of many tiles come first, so that no worker is left with one."""
    for text in run.job.plan.notes:
        run.listener(Notice(text))
    lattice, voxels = run.job.lattice, _cube_voxels(run)
    cubes = sorted(range(len(voxels)), key=lambda k: -sum(r.last - r.first for r in lattice.runs(k)))
    notes = run.stage("predict", ((k,) for k in cubes), [voxels[k] for k in cubes])
    for text in sorted({text for note in notes.values() for text in note["notes"]}):
        run.listener(Notice(text))


def keep_flows(run: Run) -> None:
    """Write the flows to a store of their own, for masks with other thresholds later."""
    assert run.job.kept is not None
    if not run.job.journal.finished("keep"):
        create_flows(run.job.kept)
    regions = list(run.job.kept.regions())
    run.stage("keep", enumerate(regions), [box.size for box in regions])


def follow_all(run: Run) -> list[int]:
    """Follow every foreground voxel to its end. Returns how far the voxels of each block went."""
    notes = run.stage("follow", ((k,) for k in run.blocks), run.sizes)
    reach = [int(notes[str(k)]["reach"]) for k in run.blocks]
    mail = {k: notes[str(k)]["to"] for k in run.blocks if notes[str(k)]["to"]}
    waiting = sorted(mail)
    returns: dict[int, list[str]] = {k: [] for k in waiting}
    turn = 1
    while mail:
        senders: dict[int, list[int]] = {}
        for sender, receivers in mail.items():
            for receiver in receivers:
                senders.setdefault(receiver, []).append(sender)
        items = [(f"{turn}-{k}", turn, k, tuple(sorted(senders[k]))) for k in sorted(senders)]
        notes = run.stage("drain", items)
        for key, _, block, _ in items:
            for home in notes[key]["homes"]:
                returns[home].append(f"{turn}-{block}")
        mail = {block: notes[key]["to"] for key, _, block, _ in items if notes[key]["to"]}
        turn += 1
    if waiting:
        notes = run.stage("settle", ((k, tuple(returns[k])) for k in waiting))
        for k in waiting:
            reach[k] = int(notes[str(k)]["reach"])
    return reach


def find_objects(run: Run, reach: list[int]) -> None:
    """Sinks, labels named by them, and the rows of whole objects at the blocks that own their sinks."""
    job, grid = run.job, run.job.grid
    cores = [grid.core(k) for k in run.blocks]
    near = ((k, blocks_reaching(job, cores[k].grow(SINK_HALO), reach)) for k in run.blocks)
    run.stage("sinks", near, run.sizes)
    run.stage("name", ((k, tuple(grid.touching(cores[k].grow(reach[k])))) for k in run.blocks), run.sizes)
    held = ((k, blocks_reaching(job, cores[k].grow(GROW_STEPS), reach)) for k in run.blocks)
    run.stage("reduce", held)


def clean_objects(run: Run) -> Patches:
    """Drop what does not fit its flows, close holes. Returns where the voxels of holes stand."""
    plan, patches = run.job.plan, dict[int, list[str]]()
    if plan.flow_threshold:
        notes = run.stage("check", ((k,) for k in run.blocks), run.sizes)
        _tell_left_out(run, sum(int(n["unchecked"]) for n in notes.values()), "checked against their flows")
    if plan.settings.clean.fill_holes:
        notes = run.stage("fill", ((k,) for k in run.blocks), run.sizes)
        _tell_left_out(run, sum(int(n["unfilled"]) for n in notes.values()), "looked through for holes")
        for k in run.blocks:
            for block, entries in notes[str(k)]["patches"]:
                patches.setdefault(block, []).extend(entries)
    return {block: tuple(entries) for block, entries in patches.items()}


def _tell_left_out(run: Run, count: int, what: str) -> None:
    if count:
        run.listener(Notice(f"{count} objects of more than {CLEAN_LIMIT} voxels (box) are too large to be {what}"))


def number_objects(run: Run, patches: Patches) -> int:
    """Final numbers, layer by layer. Returns how many objects there are."""
    layers = _layers(run)
    final = run.job.plan.final
    entries = {i: [f"{final}/{k}" for k in blocks] for i, blocks in layers.items()}
    if run.job.plan.links:
        entries = link_planes(run, patches)
    items = ((i, blocks, tuple(entries[i])) for i, blocks in layers.items())
    notes = run.stage("number", items)
    counts = [int(notes[str(i)]["count"]) for i in layers]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    run.job = replace(run.job, offsets=tuple(int(o) for o in offsets[:-1]))
    return int(offsets[-1])


def link_planes(run: Run, patches: Patches) -> dict[int, list[str]]:
    """Link the objects of planes. Returns, for each layer, the entries that add to the objects that begin in it."""
    grid, layers = run.job.grid, _layers(run)
    near = ((k, tuple(grid.touching(grid.core(k).grow((1, 0, 0))))) for k in run.blocks)
    run.stage("overlap", ((k, tuple((j, patches.get(j, ())) for j in blocks)) for k, blocks in near), run.sizes)
    entries: dict[int, list[str]] = {i: [] for i in layers}
    for i, blocks in layers.items():  # each needs what the one before it carried on
        notes = run.stage("link", [(i, blocks)])
        for first in notes[str(i)]["layers"]:
            entries[first].append(f"linked/{first}-{i}")
    return entries


def _layers(run: Run) -> dict[int, tuple[int, ...]]:
    """The blocks of each layer."""
    layers: dict[int, list[int]] = {}
    for k in run.blocks:
        layers.setdefault(run.job.grid.layer(k), []).append(k)
    return {i: tuple(layers[i]) for i in sorted(layers)}


def write_labels(run: Run, patches: Patches) -> None:
    """Final labels and their pyramid."""
    labels, grid = run.job.labels, run.job.grid
    assert labels is not None
    boxes = list(label_steps.regions(labels, 0))
    parts = ([(k, patches.get(k, ())) for k in grid.touching(box)] for box in boxes)
    items = ((str(i), box, tuple(part)) for i, (box, part) in enumerate(zip(boxes, parts, strict=True)))
    run.stage("apply", items, [box.size for box in boxes])
    for level in range(label_steps.levels_in_pass(labels), len(labels.levels)):
        boxes = list(label_steps.regions(labels, level))
        run.stage("coarsen", ((f"{level}-{i}", level, box) for i, box in enumerate(boxes)), [b.size for b in boxes])


def object_rows(run: Run) -> Iterable[tuple[int, Pieces]]:
    """The rows of the object table in order of id, a layer at a time: (first id, rows)."""
    for layer, offset in enumerate(run.job.offsets):
        yield offset + 1, load_pieces(run.job, f"rows/{layer}")


def _cube_voxels(run: Run) -> list[int]:
    """Volume voxels that each network task stands for (their regions tile the network's grid)."""
    lattice = run.job.lattice
    share = run.job.plan.voxels / max(1, int(np.prod(lattice.extent)))
    return [round(lattice.region(k).size * share) for k in range(len(lattice.cubes))]
