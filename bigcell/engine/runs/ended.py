"""Runs that have ended: the result that their record tells, and the removal of what is left of their folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from bigcell.core.documents import parse_object
from bigcell.core.errors import InputError, OutputError, SettingsError
from bigcell.core.paths import local_path
from bigcell.engine.pipeline.stage_runner import Result
from bigcell.engine.runs.single_driver import held_places
from bigcell.engine.runs.work_folder import places_of, tidy, was_cut_off_at_start
from bigcell.engine.runtime.events import Listener, Notice
from bigcell.io.labels.destination import label_name
from bigcell.io.ngff.flow_store import holds_flows
from bigcell.io.stores.leases import lease_is_there
from bigcell.io.stores.location import group_is_there, read_bytes
from bigcell.io.stores.staged_folder import unmark
from bigcell.io.stores.urls import absolute, is_url, joined
from bigcell.provenance.record import RunRecord

RECORD_FILE = "record.json"


def finished(target_store: str | Path, name: str) -> Result | None:
    """The result of a finished run, from its record; None if there is none."""
    home = joined(absolute(target_store) if is_url(target_store) else target_store, "labels", label_name(name))
    if not group_is_there(home) or read_bytes(joined(home, RECORD_FILE)) is None:
        return None
    record = read_record(joined(home, RECORD_FILE))
    path = home if is_url(home) else Path(home)
    return Result(int(record.result["objects"]), path=path, counts=record.result, stages=record.stages)


def read_record(path: str | Path) -> RunRecord:
    """The run record at `path`, a path or a URL: its JSON file, or the labels' folder that holds it."""
    file = str(path) if is_url(path) else str(local_path(path))
    if not file.endswith(".json") and (is_url(path) or Path(file).is_dir()):
        file = joined(path, RECORD_FILE)
    held = read_bytes(file)
    if held is None:
        raise InputError(f"{file} is not there; give the record.json of a run or the folder of its labels")
    try:
        return RunRecord.from_json(parse_object(held, file))
    except SettingsError as error:
        raise InputError(f"{file} is no record of a run ({error}); give the record.json of one") from error


def ended(work: Path, store: str | Path, name: str, listener: Listener) -> Result:
    """The result of a run that has ended, whose work folder goes if it is still there. OutputError if there is none."""
    if was_cut_off_at_start(work):
        raise OutputError(
            f"a run for labels {name!r} in {store} was cut off before its plan was saved, so there is nothing to "
            "resume, and what stood under that name is as it was: start it again with `bigcell segment`"
        )
    home = joined(absolute(store), "labels", name)
    places = [str(work), home] if is_url(home) else [home]
    if work.is_dir() or any(map(lease_is_there, places)):
        with held_places(places, home, {}):
            _tidy_after(work, home, listener)
    with suppress(OSError):  # the last thing to go, if no other run is there
        work.parent.rmdir()
    result = finished(store, name)
    if result is None:
        raise OutputError(
            f"there is no unfinished run at {work}; start one with `bigcell segment`, or say by --work where it is"
        )
    listener(Notice(f"there is no unfinished run for labels {name!r}: those that are there were finished before"))
    return result


def _tidy_after(work: Path, home: str, listener: Listener) -> None:
    """Remove what a driver left that was killed while it tidied up."""
    kept = [place for place in places_of(work) if holds_flows(place)]  # whoever wrote the list cannot reach further
    with held_places(kept, home, {}):
        for place in [home, *kept]:
            if not is_url(place):
                unmark(Path(place))
    discard(work, listener)  # the last thing that says which flows were kept


def discard(work: Path, listener: Listener) -> None:
    """Remove the folder of a run that has ended. What cannot be removed is told, and left to `bigcell resume`."""
    try:
        tidy(work)
    except OSError as error:
        listener(Notice(f"{work} could not be removed ({error}); `bigcell resume` does it later"))
