"""One stage of a run at a time: task after task, skipping what the journal says is done."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bigcell.core.volume import Array
from bigcell.engine.pipeline import stage_tasks
from bigcell.engine.pipeline.failures import Failures, map_with_recovery
from bigcell.engine.pipeline.lazy_tasks import LazyTasks, PendingTasks
from bigcell.engine.runtime.events import Listener, StageFinished, StageStarted, TaskDone, ignore
from bigcell.engine.runtime.executors import Executor, SerialExecutor
from bigcell.engine.tasks.job import Job

Note = dict[str, Any]
"""The small result of a task."""
Take = Callable[[str, Note], object]
"""What is done with the result of every task of a stage, by the task's key."""


@dataclass(frozen=True)
class Result:
    """What a run made: where the labels are, or the labels themselves, and how many objects they hold.

    Parameters
    ----------
    objects
        Number of objects.
    path
        Where the labels are, a URL where they are in an object store; None for labels in memory.
    labels
        Labels in memory, ``(z, y, x)``, or ``(y, x)`` for a 2-D image; None for those at `path`.
    table
        One array a column of the object table, of labels in memory.
    counts
        For the record: tasks done now and found done, tiles.
    stages
        For the record: what each stage took.
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
        held = LazyTasks.of(items)
        sizes = np.full(len(held), voxels) if isinstance(voxels, int) else np.asarray(voxels)
        whole = stage_tasks.StageProgress(name, len(held), int(sizes.sum()), Failures(name, self.listener))
        self.part(whole, held, sizes, take)
        whole.failures.settle(len(held))

    def part(self, whole: stage_tasks.StageProgress, items: LazyTasks, sizes: Array, take: Take = _forget) -> bool:
        """As `stage`, of some of its items: `sizes` are the voxels of each. Whether none of them failed."""
        name, begun, failed = whole.stage, time.perf_counter(), len(whole.failures.found)
        assert len(sizes) == len(items), (name, len(sizes), len(items))
        count = self._counted(name, take)
        todo = self._missing(name, items, count) if whole.resumed else range(len(items))
        self.listener(StageStarted(name, whole.total, whole.done + len(items) - len(todo), whole.voxels))
        if len(todo):
            self.executor.begin(name)
        for i, note in map_with_recovery(self.executor, self.job, name, PendingTasks(items, todo)):
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

    def _missing(self, name: str, items: LazyTasks, count: Callable[[str, Note], None]) -> Sequence[int] | array[int]:
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
        return self.job.active_blocks(range(len(self.job.grid)))

    @property
    def sizes(self) -> Array:
        """Voxels of each of them."""
        sizes, blocks = self.job.grid.sizes, self.blocks
        return sizes if isinstance(blocks, range) else sizes[blocks]
