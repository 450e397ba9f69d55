"""The report of a run that is over, or is still under way, asked for from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bigcell.core.box import Box
from bigcell.core.errors import BigcellError, OutputError
from bigcell.core.paths import local_path
from bigcell.core.volume import Array
from bigcell.engine.planning.plan import Plan
from bigcell.engine.runs.ended import read_record
from bigcell.engine.runs.find_run import read_status
from bigcell.engine.runs.run_folder import TABLE_FILE, RunFolder
from bigcell.engine.runs.saved_flows import revive_view
from bigcell.engine.runs.work_folder import only_unfinished, work_folder
from bigcell.engine.runtime.status import Status
from bigcell.io.ngff.image import open_image
from bigcell.io.scratch import DiskScratch
from bigcell.io.stores.location import read_bytes
from bigcell.io.stores.urls import absolute, is_url, joined
from bigcell.provenance.record import RunRecord, versions
from bigcell.report.facts import Facts
from bigcell.report.gather import REPORT_FILE, Sources, Subject, gather, write_report
from bigcell.report.page import facts_in
from bigcell.report.spot_checks import Read

SO_FAR = "so-far.html"
"""The report of an unfinished run, in its work folder."""


def make_report(
    output: str | Path, labels: str | None = None, work: str | Path | None = None, path: str | Path | None = None
) -> Path:
    """Write the report of the run for `labels` in the store `output`, and return where it is.

    Of a finished run it is made again from what the old one holds, or else from record, table and labels, and takes the
    old one's place, unless `path` is given (in the current folder for labels in an object store). Of a run that goes on
    or has stopped it tells how far it was, in its work folder. `work`: where the run works, if `segment` was told so.
    Raises OutputError where there is no such run, or where the page cannot be written.
    """
    name = labels or only_unfinished(output, work)
    folder = work_folder(output, name, work)
    status = read_status(output, name, work)
    if status.state == "finished":
        home = joined(absolute(output), "labels", name)
        facts = _finished(home, status)
        place = Path(f"{name}-{REPORT_FILE}") if is_url(home) else Path(home) / REPORT_FILE
    else:
        facts = _unfinished(RunFolder.load(folder, str(work or "")), status)
        place = folder / SO_FAR
    place = local_path(path) if path is not None else place
    try:
        return write_report(facts, place)
    except OSError as error:
        raise OutputError(f"{place} cannot be written ({error}); give another file with -o") from error


def _unfinished(outcome: RunFolder, status: Status) -> Facts:
    plan = outcome.plan
    journal = DiskScratch(outcome.work / "scratch" / plan.id[:12])
    return gather(Subject(plan, outcome.target.home, versions(), status=status), Sources(journal))


def _finished(home: str, status: Status) -> Facts:
    held = read_bytes(joined(home, REPORT_FILE))
    if held is not None:
        return facts_in(held.decode("utf-8", "replace"))
    record = read_record(home)
    subject = Subject(
        Plan.from_json(record.plan), home, record.versions, int(record.result["objects"]), status, record.stages
    )
    volume = open_image(home)
    table = Path(home) / TABLE_FILE

    def labels(box: Box) -> Array:
        values: Array = volume.read(box)[0]
        return values

    return gather(subject, Sources(None, table if table.exists() else None, labels, _image_of(record)))


def _image_of(record: RunRecord) -> Read | None:
    """The image of a run, where it is still there."""
    view: dict[str, Any] = revive_view(record.command["inputs"].get("image") or {})
    if not view:
        return None
    try:
        return open_image(view.pop("source"), **view).read
    except BigcellError:
        return None
