"""Looking at a run from outside: running, stopped or finished, and how far it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bigcell.core.errors import InputError, OutputError
from bigcell.core.settings import from_dict
from bigcell.engine.output import PLAN_FILE, finished, only_unfinished, work_folder
from bigcell.engine.status import STATUS_FILE, Status, is_alive


def read_status(output: str | Path, labels: str | None = None, work: str | Path | None = None) -> Status:
    """How the run for `labels` in the store `output` is doing. OutputError where there is none, or several.

    `work`: where it works, if `segment` was told so.
    """
    name = labels or only_unfinished(output, work)
    folder = work_folder(output, name, work)
    if (folder / PLAN_FILE).exists():
        return _unfinished(folder, name)
    try:
        result = finished(output, name)
    except InputError as error:
        raise OutputError(f"the record of {name!r} in {output} cannot be read ({error})") from error
    if result is None:
        raise OutputError(f"there is no run for labels {name!r} in {output}: start one with `bigcell segment`")
    seconds = {stage: float(about.get("seconds", 0.0)) for stage, about in result.stages.items()}
    tasks = sum(int(about.get("tasks", 0)) for about in result.stages.values())
    peak = max((int(about.get("peak_bytes", 0)) for about in result.stages.values()), default=0)
    return Status(
        state="finished", labels=name, done=tasks, total=tasks, peak_bytes=peak, stages=seconds, objects=result.objects
    )


def _unfinished(work: Path, name: str) -> Status:
    try:
        status = from_dict(Status, json.loads((work / STATUS_FILE).read_text()))
    except FileNotFoundError:
        return Status(state="stopped", labels=name)  # killed before its first word
    except (ValueError, TypeError) as error:
        raise OutputError(f"{work / STATUS_FILE} cannot be read ({error}); `bigcell resume` writes it anew") from error
    dead = status.state == "running" and not is_alive(status.driver)
    return replace(status, state="stopped") if dead else status
