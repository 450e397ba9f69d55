"""What happens when a task fails: it is tried again; one that never succeeds is set aside, and the others go on.

Trying again happens where the task runs, setting aside where the run is driven. A stage with tasks set aside ends, once
all others are done, with a `BlockError` that lists them; `resume` does only those and what comes after.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import parent_process
from traceback import format_exception
from typing import Any

from bigcell.core.errors import (
    BigcellError,
    BlockError,
    ChunkError,
    InputError,
    ModelError,
    OutputError,
    PlanError,
    SettingsError,
)
from bigcell.engine.runtime.events import Listener, TaskFailed
from bigcell.engine.runtime.executors import Executor, WorkersLostError
from bigcell.engine.tasks.job import Job
from bigcell.engine.tasks.perform import key_of, perform
from bigcell.engine.tasks.stages import STAGES

_LOG = logging.getLogger(__name__)
TRIES = 3
"""How often a task is tried before it is set aside."""
WAIT = 0.5
"""Seconds before a task is tried again where a store failed, twice as long each time."""
MOST_LOST = 10_000
"""So many tasks that lost their worker are not done one by one."""
MAX_TASKS_SET_ASIDE = 100
"""So many tasks set aside are no accident: the stage is given up."""
MAX_LISTED = 5
"""Failures that an error lists."""
TRIED = "tried"
"""The log of the scratch with every try that failed: a file for each process, a line of JSON for each try."""
TRACE = 6
"""Parts of a traceback that are put down."""
FAILED = "failed"
"""The key of a note that tells of a failure instead of a result."""
SICK = 70
"""Exit status of a worker that cannot go on (EX_SOFTWARE)."""

_HOPELESS = (InputError, SettingsError, ModelError, PlanError)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}

Note = dict[str, Any]
Task = tuple[int, Any]
"""An item of a stage, and its place in it."""


@dataclass(frozen=True)
class Attempt:
    """`attempt` for the tasks of one stage: what executors are given to run."""

    job: Job
    stage: str

    def __call__(self, task: Task) -> tuple[int, Note]:
        return attempt(self.job, self.stage, task)


def attempt(job: Job, stage: str, task: Task) -> tuple[int, Note]:
    """Do one item, again if it fails. Returns its place and its result, or a note that `Failures` understands.

    Raises at once what ends a run: input and settings that cannot become right, a disk that is full or read-only.
    """
    place, item = task
    said = ""
    for tries in range(1, TRIES + 1):
        try:
            return place, perform(job, stage, item, tries)[1]
        except Exception as error:  # anything: this is where one block is kept from stopping a million others
            if is_final(error):
                raise _as_ours(error) from error
            said = describe(error)
            _put_down(job, stage, item, error)
            if _is_sick(error) and parent_process() is not None:
                _LOG.error("%s of %s: %s; this worker ends", stage, key_of(item), said)
                os._exit(SICK)  # nothing that this process does on its device can succeed any more
            if tries < TRIES and isinstance(error, OSError | ChunkError):
                time.sleep(WAIT * 2 ** (tries - 1))
    return place, failure_note(job, stage, item, said)


def _put_down(job: Job, stage: str, item: Any, error: BaseException) -> None:
    """A try that failed goes to the log of this process, wherever it runs: stage, task, error and where it arose."""
    trace = "".join(format_exception(error)[-TRACE:])
    line = {"at": round(time.time(), 1), "stage": stage, "key": key_of(item), "error": describe(error), "trace": trace}
    with suppress(OSError):  # what stopped the task may stop this too
        job.scratch.append(TRIED, json.dumps(line).encode())


def failure_note(job: Job, stage: str, item: Any, said: str) -> Note:
    """The note of an item that failed; `said` is why."""
    return {FAILED: {"box": _place(job, stage, item), "error": said}}


def map_with_recovery(executor: Executor, job: Job, stage: str, tasks: Iterable[Task]) -> Iterator[tuple[int, Note]]:
    """Results of all tasks, whatever becomes of workers.

    What a worker had in hand when it died is done again, unless it is in the journal: one task at a time, so that a
    task that kills its worker is known, and kills only `TRIES` of them.
    """
    try:
        yield from executor.map(Attempt(job, stage), tasks)
    except WorkersLostError as lost:
        if len(lost.items) > MOST_LOST:
            raise
        done = job.journal.finished(stage)
        for task in lost.items:
            key = key_of(task[1])
            yield (task[0], done[key]) if key in done else _alone(executor, job, stage, task)


def _alone(executor: Executor, job: Job, stage: str, task: Task) -> tuple[int, Note]:
    said = ""
    for _ in range(TRIES):
        try:
            (result,) = executor.map(Attempt(job, stage), [task])
            return result
        except WorkersLostError as error:
            done = job.journal.finished(stage)
            if key_of(task[1]) in done:
                return task[0], done[key_of(task[1])]
            said = str(error)
    return task[0], failure_note(job, stage, task[1], said)


def is_final(error: BaseException) -> bool:
    """Whether trying again cannot help, and no other task will fare better.

    >>> is_final(InputError("NaN")), is_final(ChunkError("damaged")), is_final(OSError(errno.ENOSPC, "full"))
    (True, False, True)
    """
    if isinstance(error, ChunkError):
        return False
    return isinstance(error, _HOPELESS) or _number(error) in _FULL


def describe(error: BaseException) -> str:
    """What went wrong, in a line."""
    if isinstance(error, BigcellError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory: use smaller --block, or fewer --workers"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


@dataclass
class Failures:
    """What was set aside in one stage."""

    stage: str
    listener: Listener
    found: list[TaskFailed] = field(default_factory=list)

    def took(self, key: str, note: dict[str, Any]) -> bool:
        """Whether `note` tells of a failure, which is then kept, and told. Raises BlockError when they are too many."""
        if FAILED not in note:
            return False
        box = tuple(tuple(int(v) for v in corner) for corner in note[FAILED]["box"])
        failure = TaskFailed(self.stage, key, box, note[FAILED]["error"])
        self.found.append(failure)
        self.listener(failure)
        if len(self.found) >= MAX_TASKS_SET_ASIDE:
            raise BlockError(f"{len(self.found)} tasks failed, so the run is given up; {self._listed()}")
        return True

    def settle(self, total: int) -> None:
        """BlockError if anything was set aside, now that all others of the `total` tasks are done."""
        if self.found:
            raise BlockError(
                f"{len(self.found)} of {total} tasks failed {TRIES} times, the others are done; {self._listed()}"
            )

    def _listed(self) -> str:
        more = len(self.found) - MAX_LISTED
        return "; ".join(map(str, self.found[:MAX_LISTED])) + (
            f"; and {more} more (`bigcell status` lists them)" if more > 0 else ""
        )


def _place(job: Job, stage: str, item: Any) -> tuple[tuple[int, ...], ...]:
    """Where in the volume an item works, as far as there is such a place."""
    unit, block = STAGES[stage].unit, STAGES[stage].block_of(key_of(item), job.plan)
    box = job.grid.core(block) if block is not None else None
    if unit == "cube":
        box = job.grids.source_box(job.lattice.region(item[0]))
    elif unit == "region":
        box = item[1]
    return (box.start, box.stop) if box is not None else ()


def _number(error: BaseException | None) -> int | None:
    """The errno of an error, or of what caused it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        error = error.__cause__
    return None


def _as_ours(error: BaseException) -> BaseException:
    if isinstance(error, BigcellError):
        return error
    return OutputError(f"cannot write ({error}); make room or permission, then continue with `bigcell resume`")


def _is_sick(error: BaseException) -> bool:
    """Whether the device has failed, with all that this process holds on it."""
    return isinstance(error, RuntimeError) and str(error).startswith("CUDA error")


def tells_of_sickness(note: Mapping[str, Any]) -> bool:
    """Whether a failure was that of the device, which says nothing about the task.

    >>> tells_of_sickness({FAILED: {"error": "RuntimeError: CUDA error: an illegal memory access was encountered"}})
    True
    """
    return FAILED in note and note[FAILED]["error"].startswith("RuntimeError: CUDA error")
