"""Looking at a run from outside: running, stopped or finished, and how far it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bigcell.core.documents import read_object
from bigcell.core.errors import InputError, OutputError
from bigcell.core.paths import local_path
from bigcell.core.settings import from_document
from bigcell.engine.runs.ended import finished
from bigcell.engine.runs.run_folder import RunFolder
from bigcell.engine.runs.work_folder import (
    PLAN_FILE,
    is_ended,
    is_unfinished,
    only_unfinished,
    was_cut_off_at_start,
    work_folder,
)
from bigcell.engine.runtime.leases import Member, members
from bigcell.engine.runtime.status import STATUS_FILE, Status, is_alive
from bigcell.io.stores.urls import is_url


def read_status(output: str | Path, labels: str | None = None, work: str | Path | None = None) -> Status:
    """How the run for `labels` in the store `output` is doing. OutputError where there is none, or several.

    `work`: where it works, if `segment` was told so.
    """
    name = labels or only_unfinished(output, work)
    folder = work_folder(output, name, work)
    if is_unfinished(folder):
        return _unfinished(folder, name)
    if was_cut_off_at_start(folder):
        raise OutputError(
            f"a run for labels {name!r} in {output} was cut off before its plan was saved, or is just starting: start "
            "it again with `bigcell segment` if it does not go on"
        )
    try:
        result = finished(output, name)
    except InputError as error:
        raise OutputError(f"the record of {name!r} in {output} cannot be read ({error})") from error
    if result is None:
        raise OutputError(f"there is no run for labels {name!r} in {output}: start one with `bigcell segment`")
    seconds = {stage: float(about.get("seconds", 0.0)) for stage, about in result.stages.items()}
    tasks = sum(int(about.get("tasks", 0)) for about in result.stages.values())
    peak = max((int(about.get("peak_bytes", 0)) for about in result.stages.values()), default=0)
    left = (f"its work folder {folder} is still there: `bigcell resume` removes it",) if is_ended(folder) else ()
    return Status(
        state="finished",
        labels=name,
        done=tasks,
        total=tasks,
        notices=left,
        peak_bytes=peak,
        stages=seconds,
        objects=result.objects,
    )


def find_run(
    place: str | Path, labels: str | None, work: str | Path | None
) -> tuple[str | Path, str, str | Path | None]:
    """The store, the labels' name and the place to work in, of a run told by its store, its work folder or its plan."""
    given = Path(place) if is_url(place) else local_path(place)
    folder = (given.parent if given.name == PLAN_FILE else given).absolute()
    store = folder.parent.parent / folder.parent.name.removesuffix(".bigcell")
    if is_url(place) or not (folder / PLAN_FILE).exists():
        if not is_url(place) and folder.parent.suffix == ".bigcell" and store.exists():  # finished, or given up
            return store, folder.name, work
        return place, labels or only_unfinished(place, work), work
    beside = RunFolder.load(folder, None)
    home = None if beside.is_at(folder) else folder.parent.parent
    target = RunFolder.load(folder, str(home or "")).target
    return target.store, target.name, home


def _unfinished(work: Path, name: str) -> Status:
    joined = members(work)
    try:
        status = from_document(Status, read_object(work / STATUS_FILE))
    except FileNotFoundError:
        status = Status(state="stopped" if joined else "planned", labels=name)  # or killed before its first word
    except (ValueError, TypeError) as error:
        raise OutputError(f"{work / STATUS_FILE} cannot be read ({error}); `bigcell resume` writes it anew") from error
    if joined:
        return _of_array(status, joined)
    dead = status.state == "running" and not is_alive(status.driver)
    return replace(status, state="stopped") if dead else status


def _of_array(status: Status, joined: list[Member]) -> Status:
    """`status` as one of its workers wrote it, with what is known of all of them."""
    alive = sum(m.alive for m in joined)
    lost = sum(not m.alive and not m.ended for m in joined)
    about = {"of": max(m.of for m in joined), "alive": alive, "ended": sum(m.ended for m in joined), "lost": lost}
    return replace(status, state="running" if alive else "stopped", workers=about)
