"""`bigcell status`: how far a run is, asked from another terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bigcell.cli import options as o
from bigcell.core.format import command, duration, size

if TYPE_CHECKING:
    from bigcell.engine.runtime.status import Status


def status(
    output: o.RunStore,
    labels: o.RunLabels = None,
    work: o.Work = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.", show_default=False)] = False,
) -> None:
    """Tell how far a run is: stage, tasks, rate, time left, failures, memory. The run does not notice."""
    from bigcell.engine.runs.find_run import read_status

    found = read_status(output, labels, work)
    if json:
        from json import dumps

        print(dumps(found.to_json(), indent=1))
    else:
        print("\n".join(f"{name:<9}{text}" for name, text in lines(found, output, time.time(), work)))


def lines(found: Status, output: str, now: float, work: str | None = None) -> Iterator[tuple[str, str]]:
    """Names and values, a line each."""
    from bigcell.engine.runtime.events import region_text
    from bigcell.engine.tasks.stages import label_of

    yield "run", f"{found.labels} in {output}: {found.state}"
    if found.state == "finished":
        yield "objects", str(found.objects)
        yield "tasks", f"{found.done} in {duration(sum(found.stages.values()))}"
    elif found.total:
        before = f" ({found.found} before)" if found.found else ""
        yield "stage", f"{label_of(found.stage)}: {found.done} of {found.total} tasks{before}"
        left = f", {duration(found.seconds_left)} left in this stage" if found.seconds_left is not None else ""
        yield "rate", f"{found.rate:.3g} tasks/s{left}"
    if found.workers:
        count = found.workers
        lost = f", {count['lost']} lost" if count["lost"] else ""
        yield "workers", f"{count['alive']} of {count['of']} at work, {count['ended']} ended{lost}"
    if found.state not in ("planned", "finished") and found.updated:
        yield "heard", f"{duration(max(0.0, now - found.updated))} ago"
    if found.peak_bytes:
        yield "memory", f"{size(found.peak_bytes)} at most in a worker"
    for text in found.notices:
        yield "notice", text
    if found.failed:
        yield "failed", f"{found.failed} tasks"
    for failure in found.failures:
        place = region_text(failure["box"]) or "-"
        yield "", f"{failure['stage']} of {failure['key']} ({place}): {failure['error']}"
    if found.state == "planned":
        yield "start", command("worker", output, labels=found.labels, work=work, index=0, of=1)
        yield "", "or as many workers as you like, 0 to one less than --of"
        yield "or", command("resume", output, labels=found.labels, work=work)
    if found.state == "stopped":
        yield "go on", command("resume", output, labels=found.labels, work=work)
