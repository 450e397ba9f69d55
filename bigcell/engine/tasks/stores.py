"""Stores that tasks write into: each is made once, before the first task, and never again over what tasks wrote."""

from __future__ import annotations

from collections.abc import Callable

from bigcell.core.errors import PlanError
from bigcell.engine.tasks.job import Job

MADE = "made"
"""The log of the scratch that lists the stores that are there to be written."""


def is_made(job: Job, what: str) -> bool:
    """Whether the store for `what` ("labels", "flows") is there."""
    return what.encode() in job.scratch.lines(MADE)


def make_store(job: Job, what: str, stage: str, make: Callable[[], object]) -> None:
    """Have `make` create the store for `what`, and put down that it is there. Tasks of `stage` write into it.

    It is said before the first task, not found from finished ones: a worker that outlives its driver may be writing.
    PlanError where tasks are done but nothing says that their store was made: making it would lose what they wrote.
    """
    if job.journal.has_begun(stage):
        raise PlanError(
            f"a part of the work folder is lost: tasks have written {what}, but nothing says that a place for them was "
            "made (a machine that loses power loses what it wrote last); start over with --overwrite"
        )
    make()
    job.scratch.append(MADE, what.encode())
