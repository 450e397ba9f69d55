"""Workers without a scheduler: each drives the same run, does what it can claim, and learns the rest from the journal.

All that passes between them passes through the work folder: claims (`bigcell.engine.runtime.leases`), the journal, and
a log of tasks that were set aside.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bigcell.core.errors import BlockError, PlanError
from bigcell.core.volume import Volume
from bigcell.engine.pipeline.failures import FAILED, Attempt, Note, Task, map_with_recovery, tells_of_sickness
from bigcell.engine.pipeline.lazy_tasks import PendingTasks
from bigcell.engine.pipeline.stage_runner import Result
from bigcell.engine.runs.ended import discard
from bigcell.engine.runs.run_folder import RunFolder, execute, result_of
from bigcell.engine.runtime.events import Listener, ignore
from bigcell.engine.runtime.executors import Executor, ProcessExecutor, SerialExecutor
from bigcell.engine.runtime.leases import Claims, Membership, Share
from bigcell.io.scratch import DiskScratch
from bigcell.provenance.journal import whole_lines

SHARES = 32
"""A stage is claimed in at least so many pieces for each worker, so that all of them end at about the same time."""
MAX_TASKS = 64
"""Tasks in a piece, at most."""
SOON, LATE = 0.05, 2.0
"""Seconds between two looks at the journal: at first, and after a while without news."""


def work_in_array(
    outcome: RunFolder, image: Volume | None, given: Volume | None, share: Share, workers: int, listener: Listener
) -> Result:
    """Take part in a run as one worker of an array, with `workers` processes, until its labels are published.

    Whoever comes first to the end publishes; all others return what it made.
    """
    member = Membership.join(outcome.work, share)
    try:
        if not outcome.is_planned:  # joining made its folder anew
            raise PlanError(f"the run at {outcome.work} is no longer there: it was given up or started over meanwhile")
        with closing(ArrayExecutor(member, SerialExecutor() if workers == 1 else ProcessExecutor(workers))) as executor:
            executor.learn_of_failures(outcome.scratch)
            return execute(outcome, image, given, executor, listener, executor)
    except Exception:  # a worker may meet the end of a run anywhere: its folder goes while it looks for something there
        result = result_of(outcome)
        if result is None:
            raise
        return result
    finally:
        member.leave()
        if not outcome.is_planned:  # what was written while another worker removed it
            discard(outcome.work, ignore)


@dataclass
class ArrayExecutor:
    """What one worker of an array does of each stage, `inner` doing it, and what the others did."""

    member: Membership
    inner: Executor
    shared: bool = True
    by_stage: bool = True
    """A slab at a time would make each worker wait for the others at every slab."""
    _failures_read: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def workers(self) -> int:
        return self.inner.workers

    def begin(self, stage: str) -> None:
        self.inner.begin(stage)

    def close(self) -> None:
        self.inner.close()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """The results of all tasks of a stage, by whichever worker. `function` is an `Attempt`, `items` are pending."""
        if not isinstance(function, Attempt) or not isinstance(items, PendingTasks):
            raise TypeError(f"{function!r} over {type(items)} cannot be shared; wanted an Attempt over PendingTasks")
        read = self._failures_read.setdefault(function.stage, {})
        return StageShare(self.member, self.inner, function, items, read).results()

    def once(self, what: str, is_done: Callable[[], bool], do: Callable[[], object]) -> None:
        """Have `what` done by one worker, this one or another; by one more if that one ends before it is done."""
        claims, rest = Claims(self.member, "once"), Rest()
        while not is_done():
            self.member.check()
            if claims.take(what):
                if not is_done():
                    do()
                return
            rest.after(moved=False)

    def learn_of_failures(self, scratch: DiskScratch) -> None:
        """Pass over what was set aside before this worker came: it tries those tasks again."""
        for folder in (scratch.folder / FAILED).glob("*"):
            read = self._failures_read.setdefault(folder.name, {})
            for _ in scratch.more_lines(f"{FAILED}/{folder.name}", read):
                pass


@dataclass
class Rest:
    """Waits longer the longer nothing moves."""

    seconds: float = SOON

    def after(self, *, moved: bool) -> None:
        """Begin anew, or wait."""
        if moved:
            self.seconds = SOON
            return
        time.sleep(self.seconds)
        self.seconds = min(2 * self.seconds, LATE)


@dataclass
class StageShare:
    """One worker's part of the tasks of a stage. Held for each task: its key and place, until its result is known.

    Tasks are claimed in pieces of neighbours. A piece has the name of its first task, done or not, so workers that
    found different tasks done speak of the same pieces.
    """

    member: Membership
    inner: Executor
    do: Attempt
    tasks: PendingTasks
    failures_read: dict[str, int]
    _read: dict[str, int] = field(default_factory=dict)
    _looked: float = 0.0
    _news: list[tuple[int, Note]] = field(default_factory=list)

    @cached_property
    def waiting(self) -> dict[str, int]:
        """Key and place of every task whose result is not known."""
        return {self.tasks.items.key(i): i for i in self.tasks.which}

    def results(self) -> Iterator[tuple[int, Note]]:
        """All of them, as they come."""
        claims, rest = Claims(self.member, self.do.stage), Rest()
        while self.waiting:
            self._look()
            before = len(self.waiting)
            for place, note in map_with_recovery(self.inner, self.do.job, self.do.stage, self._claimed(claims)):
                self._take(place, note)
                if time.monotonic() - self._looked > LATE:
                    self._look()
                yield from self._told()
            yield from self._told()
            if self.waiting:
                self.member.check()
                rest.after(moved=len(self.waiting) < before)

    def _claimed(self, claims: Claims) -> Iterator[Task]:
        """Tasks of the pieces that are for this worker to do, each made when its turn comes."""
        items = self.tasks.items
        size = max(1, min(MAX_TASKS, len(items) // (SHARES * self.member.share.of)))
        for piece in self.member.share.ordered({i // size for i in self.waiting.values()}):
            name = items.key(piece * size)
            if claims.take(name):
                if claims.is_inherited(name):  # who had it before may have done a part
                    self._look()
                for i in range(piece * size, min((piece + 1) * size, len(items))):
                    if items.key(i) in self.waiting:
                        yield i, items.make(i)

    def _take(self, place: int, note: Note) -> None:
        """A result of this worker's own. That a task is set aside is told to the others, who would wait for it."""
        key = self.tasks.items.key(place)
        if FAILED in note:  # another has done it meanwhile, perhaps, and what it needs is gone
            self._look()
        if key not in self.waiting:  # the journal had it first
            return
        if tells_of_sickness(note):
            raise BlockError(
                f"the device of this worker failed ({note[FAILED]['error']}), so it ends; others go on with its tasks"
            )
        if FAILED in note:
            self._scratch.append(f"{FAILED}/{self.do.stage}", f"{key} {json.dumps(note)}".encode())
        self._news.append((self.waiting.pop(key), note))

    def _look(self) -> None:
        """Read what was done or set aside since the last look, by anyone."""
        self._looked, stage = time.monotonic(), self.do.stage
        for log, read in ((f"done/{stage}", self._read), (f"{FAILED}/{stage}", self.failures_read)):
            for key, note in whole_lines(self._scratch.more_lines(log, read)):
                if key in self.waiting:
                    self._news.append((self.waiting.pop(key), json.loads(note)))

    def _told(self) -> Iterator[tuple[int, Note]]:
        news, self._news = self._news, []
        yield from news

    @property
    def _scratch(self) -> DiskScratch:
        scratch = self.do.job.scratch
        assert isinstance(scratch, DiskScratch)
        return scratch
