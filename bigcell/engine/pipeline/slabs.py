"""The road slab by slab: from flows to objects, with what nobody needs any more removed on the way.

The tasks are those of the other order, stage after stage, with the same keys and the same results; only when each is
done differs. So a run may change from one order to the other when it is taken up again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.engine.pipeline.displacement_bounds import DisplacementBounds
from bigcell.engine.pipeline.failures import Failures
from bigcell.engine.pipeline.lazy_tasks import LazyTasks
from bigcell.engine.pipeline.stage_runner import Note, Run, Take
from bigcell.engine.pipeline.stage_tasks import (
    Mail,
    Returns,
    StageProgress,
    drain_tasks,
    keep_tasks,
    name_tasks,
    of_blocks,
    predict_tasks,
    reduce_tasks,
    settle_tasks,
    sinks_tasks,
)
from bigcell.engine.planning.slab_schedule import LONGEST, Layout, Part, SlabScheduler, cube_layer
from bigcell.engine.runtime.events import Notice, ignore


@runtime_checkable
class ByStage(Protocol):
    """An executor that may want a stage whole before the next one begins: it has other machines for it, say."""

    by_stage: bool


def slab_layers(run: Run) -> int:
    """How many layers of blocks are done together; 0 if the run goes stage after stage."""
    budget = run.job.plan.budget
    if budget is None or (isinstance(run.executor, ByStage) and run.executor.by_stage):
        return 0
    return budget.slab


def roll(run: Run, layers: int) -> None:
    """All that `run` does slab by slab, up to the objects of each block. BlockError if tasks were set aside: then
    everything else that can be done without them is done."""
    regions = list(run.job.kept.regions()) if run.job.kept is not None else []
    rolling = Rolling(run, SlabScheduler(Layout.of(run.job.plan, layers, regions)), regions)
    while (part := rolling.wave.next()) is not None:
        rolling.do(part)
    rolling.settle_failures()
    if "merge_objects" not in rolling.wave.layout.stages:
        run.stage("merge_objects", reduce_tasks(run.job, rolling.reach, run.blocks))


@dataclass
class Rolling:
    """A run on its way. `ways` (blocks,): how far the voxels of each block went.

    `mail`: what lies at blocks, by turn and slab; `returns`: what has come back to blocks, by slab; `senders`: the
    blocks of a slab that wait for that.
    """

    run: Run
    wave: SlabScheduler
    regions: list[Box]
    ways: Array = field(init=False)
    mail: dict[tuple[int, int], Mail] = field(default_factory=dict)
    returns: dict[int, Returns] = field(default_factory=dict)
    senders: dict[int, list[int]] = field(default_factory=dict)
    sizes: Array = field(init=False)
    wholes: dict[str, StageProgress] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.ways = np.full(len(self.run.job.grid), -1, np.int32)  # no voxel comes of a block that is skipped
        self.sizes = self.run.job.grid.sizes
        journal, plan = self.run.job.journal, self.run.job.plan
        count = dict.fromkeys(self.wave.layout.stages, (len(self.run.blocks), int(self.run.sizes.sum())))
        cubes = len(plan.lattice.cubes) if plan.foreground is None else plan.foreground.cubes
        count["predict_flows"], count["save_flows"] = (cubes, plan.voxels), (len(self.regions), plan.voxels)
        for stage in self.wave.layout.stages:
            tasks, voxels = count[stage]
            failures = Failures(stage, self.run.listener)
            self.wholes[stage] = StageProgress(stage, tasks, voxels, failures, journal.has_begun(stage))

    @property
    def reach(self) -> DisplacementBounds:
        """How far voxels went, as far as is known."""
        return DisplacementBounds.of(self.run.job.grid, self.ways, planar=self.run.job.plan.is_planar)

    def do(self, part: Part) -> None:
        """Do a part of a stage; then remove what nobody needs any more."""
        stage, slab, turn = part
        if stage == "exchange_migrants":
            sound = self._drain(slab, turn)
        elif stage == "collect_ends":
            sound = self._settle(slab)
        else:
            sound = self._part(stage, *self._items(stage, slab), self._take(stage))
        if not sound:
            self.wave.failed.add(part)
            return
        self.wave.finish(part)
        for kind, number in self.wave.released():
            self._remove(self._entries(kind, number))

    def settle_failures(self) -> None:
        """BlockError if anything was set aside."""
        every = Failures("", ignore)
        for whole in self.wholes.values():
            every.found += whole.failures.found
        every.settle(sum(whole.done for whole in self.wholes.values()) + len(every.found))

    def _items(self, stage: str, slab: int) -> tuple[LazyTasks, Sequence[int] | Array]:
        """The items of a part, and the voxels of each."""
        job = self.run.job
        blocks = job.active_blocks(self.wave.layout.slabs.blocks[slab])
        sizes = self.sizes[np.asarray(blocks, np.int64)]
        if stage == "predict_flows":
            return predict_tasks(job, [k for m in self.wave.new_cubes(slab) for k in cube_layer(job.plan, m)])
        if stage == "save_flows":
            places = self._kept_with(slab)
            return keep_tasks(places, self.regions), [self.regions[i].size for i in places]
        if stage == "merge_objects":
            return reduce_tasks(job, self.reach, blocks), np.zeros(len(blocks), np.int64)
        if stage == "find_sinks":
            return sinks_tasks(job, self.reach, blocks), sizes
        if stage == "label_blocks":
            return name_tasks(job, self.reach, blocks), sizes
        return of_blocks(blocks), sizes  # follow, check

    def _part(self, stage: str, items: LazyTasks, sizes: Sequence[int] | Array, take: Take) -> bool:
        return not len(items) or self.run.part(self.wholes[stage], items, np.asarray(sizes), take)

    def _take(self, stage: str) -> Take:
        """What becomes of the results of a stage."""
        return {"predict_flows": self._tell, "follow_flows": self._followed}.get(stage, lambda key, note: None)

    def _tell(self, _: str, note: Note) -> None:
        for text in sorted({*note["notes"]} - self.told):
            self.run.listener(Notice(text))
            self.told.add(text)

    def _followed(self, key: str, note: Note) -> None:
        self.wave.step = max(self.wave.step, note.get("step", LONGEST))
        self._arrived(key, note)
        if note["to"]:
            self.senders.setdefault(self.wave.layout.slabs.of_block(int(key)), []).append(int(key))
            self._post(1, int(key), note["to"])

    def _arrived(self, key: str, note: Note) -> None:
        self.ways[int(key)] = note["reach"]
        self.wave.went(self.wave.layout.slabs.of_block(int(key)), note["reach"])

    def _post(self, turn: int, sender: int, receivers: Sequence[int]) -> None:
        for block in receivers:
            at = turn, self.wave.layout.slabs.of_block(block)
            self.mail.setdefault(at, {}).setdefault(block, []).append(sender)
            self.wave.waiting.add(at)

    def _drain(self, slab: int, turn: int) -> bool:
        """Follow on what lies in a slab."""
        mail = self.mail[turn, slab]
        items = drain_tasks(turn, mail)

        def went_on(key: str, note: Note) -> None:
            block = int(key.partition("-")[2])
            for home in note["homes"]:
                self.returns.setdefault(self.wave.layout.slabs.of_block(home), {}).setdefault(home, []).append(key)
            self._post(turn + 1, block, note["to"])

        if not self._few("exchange_migrants", items, went_on):
            return False
        self._remove(f"mail/{turn}-{block}-{sender}" for block, senders in mail.items() for sender in senders)
        del self.mail[turn, slab]
        return True

    def _settle(self, slab: int) -> bool:
        """Put what came back into the blocks of a slab that wait for it."""
        returns = self.returns.get(slab, {})
        items = settle_tasks(self.senders.get(slab, []), returns)
        if not self._few("collect_ends", items, self._arrived):
            return False
        self._remove(f"returns/{block}-{entry}" for block, entries in returns.items() for entry in entries)
        self.returns.pop(slab, None)
        self.senders.pop(slab, None)
        return True

    def _few(self, stage: str, items: list[Any], take: Take) -> bool:
        """A part of a stage of which nobody knows how many tasks it has in all."""
        whole = self.wholes[stage]
        whole.total = whole.done + len(items)
        return self._part(stage, LazyTasks.of(items), np.zeros(len(items), np.int64), take)

    def _kept_with(self, slab: int) -> list[int]:
        """The places of the regions that end in a slab."""
        cuts, axis = self.wave.layout.slabs.cuts, self.run.job.grid.layer_axis
        return [i for i, box in enumerate(self.regions) if cuts[slab] < box.stop[axis] <= cuts[slab + 1]]

    def _entries(self, kind: str, number: int) -> Iterator[str]:
        """Names of scratch that stands for a layer of cubes, or a slab."""
        blocks = self.wave.layout.slabs.blocks
        numbers = cube_layer(self.run.job.plan, number) if kind == "flows" else blocks[number]
        return (f"{kind}/{k}" for k in numbers)

    def _remove(self, entries: Iterator[str]) -> None:
        for entry in entries:
            self.run.job.scratch.remove(entry)
