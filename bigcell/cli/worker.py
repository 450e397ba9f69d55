"""`bigcell worker`: one of the workers of a job array, which need no scheduler."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bigcell.cli import options as o
from bigcell.cli.ending import ENDING
from bigcell.cli.progress import Progress, tell
from bigcell.core.errors import BlockError
from bigcell.core.format import command


def worker(
    plan: Annotated[
        str, typer.Argument(metavar="PLAN", help="plan.json, its folder, or the store that the labels go to.")
    ],
    index: Annotated[int, typer.Option("--index", metavar="I", help="Which worker this is, from 0.")],
    of: Annotated[int, typer.Option("--of", metavar="N", help="How many workers there are.")],
    labels: o.RunLabels = None,
    work: o.Work = None,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", help="Processes of this worker; 1 is the default.")
    ] = 1,
) -> None:
    """Take part in a planned run, as one job of an array. Nothing listens, nothing has to stay up.

    \b
    bigcell segment IMAGE --output OUT.zarr --plan-only
    sbatch --array=0-9 --wrap 'bigcell worker OUT.zarr --index $SLURM_ARRAY_TASK_ID --of 10'

    Jobs may start and end at any time, also too early: others go on with what they left. Each ends when the run does.
    """
    _keep_to_own_cores(workers)
    from bigcell import api

    again = command("worker", plan, labels=labels, work=work, index=index, of=of)
    left = f"others go on with what this worker leaves; to have it back: `{again}`"
    try:
        with Progress() as listener, ENDING.keeping(lambda: left):  # the others are told at once
            result = api.worker(plan, index=index, of=of, labels=labels, work=work, workers=workers, listener=listener)
    except BlockError as error:
        raise BlockError(f"{error}; what is finished is kept: start the workers again, as in `{again}`") from error
    tell(result)


def tell_plan(plan: Path, store: str, labels: str, work: str | None) -> None:
    """Where the plan is, and how to have it done."""
    print(f"plan     {plan}")
    print(f"start    {command('worker', store, labels=labels, work=work, index=0, of=1)}")
    print("         or as many as you like, 0 to one less than --of")


def _keep_to_own_cores(workers: int) -> None:
    """Said before the numerical libraries are loaded, which would take all cores of a machine that jobs share."""
    from bigcell.engine.runtime.executors import thread_environment

    for name, value in thread_environment(max(1, workers)).items():
        os.environ.setdefault(name, value)
