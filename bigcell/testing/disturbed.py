"""Runs that are cut off, and what was done in them: for tests of what comes after."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigcell.engine.pipeline import failures
from bigcell.engine.runtime.events import Event, TaskDone
from bigcell.engine.runtime.executors import SerialExecutor
from bigcell.engine.tasks.job import Job
from bigcell.engine.tasks.perform import perform


@dataclass
class Stopping:
    """An executor that is interrupted when `left` tasks are done."""

    left: int
    workers: int = 1

    def begin(self, stage: str) -> None:
        """Every stage counts."""

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """One item after the other; a KeyboardInterrupt in the place of the first result that is too many."""
        for done in SerialExecutor().map(function, items):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            yield done

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class AtTask:
    """A listener that does something when it has heard of `left` tasks, of one `stage` or of any, and goes on."""

    left: int
    do: Callable[[], object]
    stage: str = ""

    def __call__(self, event: Event) -> None:
        if isinstance(event, TaskDone) and self.stage in ("", event.stage):
            self.left -= 1
            if self.left == 0:
                self.do()


def kill_this_process() -> None:
    """As the system does, without a word to it."""
    os.kill(os.getpid(), signal.SIGKILL)


def note_tasks(log: str | Path) -> None:
    """From now on, every task that this process itself does is a line of `log`, once it is in the journal."""

    def noted(job: Job, stage: str, item: Any, tries: int = 1) -> tuple[str, dict[str, Any]]:
        result = perform(job, stage, item, tries)
        with open(log, "a") as out:
            print(stage, item[0], file=out)
        return result

    vars(failures)["perform"] = noted
