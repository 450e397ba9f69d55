"""A run that leaves files: its work folder, the labels it publishes, and how it is taken up again after a crash."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bigcell.core.documents import parse_object, read_object
from bigcell.core.errors import BigcellError, ChunkError, InputError, OutputError, PlanError, SettingsError
from bigcell.core.paths import local_path, resolved
from bigcell.core.settings import from_dict
from bigcell.core.volume import Volume
from bigcell.core.words import command
from bigcell.engine.account import begin_session
from bigcell.engine.bad_chunks import bad_chunks
from bigcell.engine.claims import refuse_beside_workers
from bigcell.engine.events import Listener, Notice, ignore
from bigcell.engine.executors import Executor
from bigcell.engine.foreground import ENTRY
from bigcell.engine.job import Job
from bigcell.engine.plan import Plan
from bigcell.engine.reporting import REPORT_FILE, Sources, Subject, gather, write_report
from bigcell.engine.run import Result, Run, segment_volume, write_table
from bigcell.engine.settings import output_chunks
from bigcell.engine.status import StatusFile
from bigcell.engine.turns import ALONE, Turns
from bigcell.io.flows import FlowStore, create_flows, publish_flows
from bigcell.io.location import absolute, group_is_there, is_url, joined, read_bytes
from bigcell.io.open import ZarrVolume
from bigcell.io.publish import publish
from bigcell.io.scratch import DiskScratch
from bigcell.io.tables import ObjectTable
from bigcell.io.targets import LabelTarget, label_name
from bigcell.io.write import LabelForm, LabelStore, create_labels, reopen_labels
from bigcell.preprocess.foreground import Foreground
from bigcell.provenance.fingerprint import difference
from bigcell.provenance.record import RunRecord, host, versions
from bigcell.stitch.number import smallest_dtype

MADE = "made"
"""The log of the scratch that lists the stores that are there to be written."""
PLAN_FILE, RECORD_FILE, TABLE_FILE = "plan.json", "record.json", "objects.parquet"


def work_folder(store: str | Path, name: str, work: str | Path | None = None) -> Path:
    """Where a run for labels `name` in `store` keeps what it has done so far: beside the store, never in it.

    Of a store in an object store, in the current folder. `work` is a folder to keep it in instead, in either case.
    """
    name = label_name(name)
    if work is None and not is_url(store):
        store = local_path(store)
        store = store if store.name not in ("", "..") else resolved(store)  # "." and ".." have a name of their own
        return store.parent / f"{store.name}.bigcell" / name
    where = absolute(store)  # another store of that name must not share the folder
    own = f"{where.rpartition('/')[2]}-{hashlib.sha256(where.encode()).hexdigest()[:8]}.bigcell"
    return resolved(local_path(work or ".")) / own / name


def only_unfinished(store: str | Path, work: str | Path | None = None) -> str:
    """The name of the only run under way for `store`; "cells" if there is none."""
    parent = work_folder(store, "any", work).parent
    names = sorted(p.parent.name for p in parent.glob(f"*/{PLAN_FILE}"))
    if len(names) > 1:
        raise OutputError(f"several runs are unfinished for {store}: choose one of {', '.join(names)} with --labels")
    return names[0] if names else "cells"


@dataclass(frozen=True)
class Outcome:
    """A plan, its inputs and the place for its labels: what `resume` reads back. `inputs` reopens the inputs.

    `request` is what was asked for, `kept` the path where flows are to be kept ("" for nowhere), `work_place` the
    folder to work in ("" for the usual one), `report` whether a page about the run is put beside the labels,
    `foreground` that of the plan, if it has one, until it is saved.
    """

    plan: Plan
    target: LabelTarget
    inputs: dict[str, Any]
    request: dict[str, Any] = field(default_factory=dict)
    kept: str = ""
    work_place: str = ""
    report: bool = True
    foreground: Foreground | None = field(default=None, repr=False)

    @property
    def work(self) -> Path:
        return work_folder(self.target.store, self.target.name, self.work_place or None)

    @property
    def scratch(self) -> DiskScratch:
        """What the tasks leave for each other."""
        return DiskScratch(self.work / "scratch" / self.plan.id[:12])

    @property
    def is_planned(self) -> bool:
        """Whether there is an unfinished run in the work folder."""
        return (self.work / PLAN_FILE).exists()

    def save(self) -> None:
        """Make the work folder, with the plan in it. Refuses one that holds another unfinished run."""
        refuse_beside_workers(self.work, "it cannot be started over")
        if self.is_planned and not self.target.overwrite:
            again = command("resume", self.target.store, labels=self.target.name, work=self.work_place)
            raise OutputError(
                f"an unfinished run is at {self.work}: continue it with `{again}`, or start over with --overwrite"
            )
        _remove(self.work)  # also what a run that was killed while it tidied up has left
        if self.foreground is not None:  # before the plan: where there is one, there is all that it needs
            self.scratch.save(ENTRY, self.foreground.arrays())
        values = {
            "plan": self.plan.to_json(),
            "target": vars(self.target),
            "inputs": self.inputs,
            "request": self.request,
            "kept": self.kept,
            "report": self.report,
        }
        DiskScratch(self.work).write_note(PLAN_FILE.removesuffix(".json"), values)

    @classmethod
    def load(cls, work: Path, work_place: str = "") -> Outcome:
        """The unfinished run in `work`."""
        try:
            values = read_object(work / PLAN_FILE)
            target = from_dict(LabelTarget, values["target"])
            planned, kept, report = Plan.from_json(values["plan"]), values["kept"], bool(values.get("report", True))
            return cls(planned, target, dict(values["inputs"]), dict(values["request"]), kept, work_place, report)
        except FileNotFoundError as error:
            raise OutputError(
                f"there is no unfinished run at {work}; start one with `bigcell segment`, or say by --work where it is"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(f"the plan at {work} cannot be read ({error}); start over with --overwrite") from error


def execute(
    outcome: Outcome,
    image: Volume | None,
    given: Volume | None,
    executor: Executor,
    listener: Listener = ignore,
    turns: Turns = ALONE,
) -> Result:
    """Run the plan, or what is left of it, publish the labels, and remove the work folder.

    Bad input found on the way leaves nothing behind; anything else leaves the work folder for `resume`. Other drivers
    may do the same at the same time, where `turns` says so.
    """
    status = StatusFile(outcome.work, outcome.target.name, listener)
    try:
        return _execute(outcome, image, given, executor, status, turns)
    except OSError as error:
        status.stop()
        if isinstance(error, BigcellError):
            raise
        again = command("resume", outcome.target.store, labels=outcome.target.name, work=outcome.work_place)
        raise OutputError(f"cannot write the results ({error}); make room, then continue with `{again}`") from error
    except BaseException:
        status.stop()
        raise


def _execute(
    outcome: Outcome,
    image: Volume | None,
    given: Volume | None,
    executor: Executor,
    status: StatusFile,
    turns: Turns,
) -> Result:
    begin_session(outcome.scratch, time.time())
    kept = FlowStore.at(outcome.kept, outcome.plan.extent) if outcome.kept else None
    run = Run(Job(outcome.plan, image, given, outcome.scratch, kept=kept), executor, status)
    if kept is not None and turns.shared:
        turns.once("flows", lambda: b"flows" in run.job.scratch.lines(MADE), partial(_make_flows, run, kept))
    try:
        count = segment_volume(run, lambda n: _open_labels(run, outcome, image, given, n, turns))
    except ChunkError:  # may be mended, or come back
        raise
    except InputError:
        if not turns.shared:
            discard(outcome)
        raise
    table = _write_table(run, outcome.work / TABLE_FILE, image, given)
    results: list[Result] = []
    turns.once(
        "publish", lambda: not outcome.is_planned, lambda: results.append(_publish(outcome, run, count, table, status))
    )
    result = results[0] if results else result_of(outcome)
    if result is None:
        raise PlanError(f"the run at {outcome.work} is no longer there: it was given up or started over meanwhile")
    return result


def _publish(outcome: Outcome, run: Run, count: int, table: Path, status: StatusFile) -> Result:
    """The end of a run, whose labels and table are written: what only one driver may do, again if one was cut off."""
    store, kept = run.job.labels, run.job.kept
    assert isinstance(store, LabelStore)
    record = _record(outcome, run, count)
    if kept is not None:
        _publish_flows(outcome, kept, run.job.image)
    record_file = outcome.work / RECORD_FILE
    record_file.write_text(json.dumps(record.to_json(), indent=1))
    files = {TABLE_FILE: table, RECORD_FILE: record_file}
    if outcome.report:
        files |= _report(outcome, run, record, status)
    path = publish(store, attributes={"bigcell": record.to_json()}, files=files)
    discard(outcome)
    return Result(count, path=path, counts=record.result, stages=run.stages)


def discard(outcome: Outcome) -> None:
    """Remove the work folder, and its parent if no other run has one there."""
    _remove(outcome.work)
    if outcome.work.parent.exists() and not any(outcome.work.parent.iterdir()):
        outcome.work.parent.rmdir()


def _remove(work: Path) -> None:
    """Take a work folder away. The plan goes first: half a folder with a plan would be taken for a run to resume."""
    (work / PLAN_FILE).unlink(missing_ok=True)
    shutil.rmtree(work, ignore_errors=True)


def finished(target_store: str | Path, name: str) -> Result | None:
    """The result of a finished run, from its record; None if there is none."""
    home = joined(absolute(target_store) if is_url(target_store) else target_store, "labels", label_name(name))
    if not group_is_there(home) or read_bytes(joined(home, RECORD_FILE)) is None:
        return None
    record = read_record(joined(home, RECORD_FILE))
    path = home if is_url(home) else Path(home)
    return Result(int(record.result["objects"]), path=path, counts=record.result, stages=record.stages)


def result_of(outcome: Outcome) -> Result | None:
    """What another driver made of this run; None if it is not finished, or if what is there is of another run."""
    result = None if outcome.is_planned else finished(outcome.target.store, outcome.target.name)
    if result is None:
        return None
    made = Plan.from_json(read_record(joined(outcome.target.home, RECORD_FILE)).plan)
    return result if made.id == outcome.plan.id else None


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


def check_same_input(planned: Mapping[str, Any], found: Mapping[str, Any], what: str) -> None:
    """Refuse an input that is not the one the plan was made for."""
    changed = difference(planned, found)
    if changed:
        raise PlanError(
            f"the {what} is not the one that was planned ({'; '.join(changed)}): put it back, or start anew"
        )


def _open_labels(
    run: Run, outcome: Outcome, image: Volume | None, given: Volume | None, count: int, turns: Turns
) -> LabelStore:
    """The label store: a new one, unless tasks of this run have written into it already."""
    like = image if isinstance(image, ZarrVolume) else given if isinstance(given, ZarrVolume) else None
    chunk, shard = output_chunks(outcome.plan.extent)
    made = run.job.scratch
    form = LabelForm(outcome.plan.extent, outcome.plan.spacing, like, smallest_dtype(count), chunk, shard)

    def make() -> None:
        create_labels(outcome.target, form)
        # Said before the first task, not found from finished ones: a worker that outlives its driver may be writing.
        made.append(MADE, b"labels")

    turns.once("labels", lambda: b"labels" in made.lines(MADE), make)
    return reopen_labels(outcome.target, form)


def _make_flows(run: Run, kept: FlowStore) -> None:
    create_flows(kept)
    run.job.scratch.append(MADE, b"flows")


def _write_table(run: Run, path: Path, image: Volume | None, given: Volume | None) -> Path:
    """The object table, a folder of parts."""
    like = image if image is not None else given
    write_table(run, ObjectTable(path, run.job.plan.spacing, getattr(like, "origin_um", (0.0, 0.0, 0.0))))
    return path


def _publish_flows(outcome: Outcome, kept: FlowStore, image: Volume | None) -> None:
    """Give the kept flows their name, with all that making masks from them needs."""
    about = {
        "plan": outcome.plan.to_json(),
        "inputs": outcome.inputs,
        "request": outcome.request,
        "store": outcome.target.store,
    }
    publish_flows(kept, spacing=outcome.plan.spacing, origin_um=getattr(image, "origin_um", (0, 0, 0)), about=about)


def _report(outcome: Outcome, run: Run, record: RunRecord, status: StatusFile) -> dict[str, Path]:
    """The page about the run; a notice where it cannot be made, which is no reason to lose the labels."""
    labels, about = run.job.labels, replace(status.values, state="finished")
    assert labels is not None
    objects = int(record.result["objects"])
    subject = Subject(outcome.plan, outcome.target.home, record.versions, objects, about, record.stages)
    image = run.job.read_image if run.job.image is not None else None
    sources = Sources(run.job.scratch, outcome.work / TABLE_FILE, partial(labels.read, 0), image)
    try:
        return {REPORT_FILE: write_report(gather(subject, sources), outcome.work / REPORT_FILE)}
    except Exception as error:
        status(Notice(f"the report could not be made ({type(error).__name__}: {error}); the labels are not affected"))
        return {}


def _record(outcome: Outcome, run: Run, count: int) -> RunRecord:
    digest = hashlib.sha256(run.digests.hex().encode())
    result = {"objects": count, "labels_sha256": digest.hexdigest(), **tallies(run)}
    command = {"inputs": outcome.inputs, "store": outcome.target.store, "labels": outcome.target.name}
    return RunRecord(outcome.plan.to_json(), command, versions(), host(), run.stages, result)


def tallies(run: Run) -> dict[str, int]:
    """What was counted on the way: foreground voxels, handed over, lost; network tiles; blocks that were skipped."""
    counted = run.sums
    none = Counter[str]()
    return {
        "foreground": counted["follow"]["foreground"],
        "handed_over": counted["follow"]["escaped"],
        "lost": counted["name"]["lost"],
        "small": counted["reduce"]["objects"] - counted["reduce"]["kept"] + counted["number"]["small"],
        "unfit": counted.get("check", none)["unfit"],
        "filled": counted.get("fill", none)["filled"],
        "tiles": counted.get("predict", none)["tiles"],
        "bad_chunks": len(bad_chunks(run.job.scratch)),
        "skipped": len(run.job.grid) - len(run.blocks),
    }
