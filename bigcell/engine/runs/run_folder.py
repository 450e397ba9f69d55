"""A run that leaves files: its work folder, the labels it publishes, and how it is taken up again after a crash."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bigcell.core.documents import read_object
from bigcell.core.errors import BigcellError, ChunkError, InputError, OutputError, PlanError
from bigcell.core.format import command
from bigcell.core.settings import from_document
from bigcell.core.volume import Volume
from bigcell.engine.pipeline.segment import make_kept, segment_volume, write_table
from bigcell.engine.pipeline.stage_runner import Result, Run
from bigcell.engine.planning.bad_chunks import bad_chunks
from bigcell.engine.planning.foreground_note import ENTRY
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import output_chunks
from bigcell.engine.runs.ended import RECORD_FILE, discard, finished, read_record
from bigcell.engine.runs.single_driver import held_places
from bigcell.engine.runs.source_sample import check_voxels
from bigcell.engine.runs.work_folder import (
    PLAN_FILE,
    begin_tidying,
    is_ended,
    is_unfinished,
    start_over,
    started,
    work_folder,
)
from bigcell.engine.runtime.events import Listener, Notice, ignore
from bigcell.engine.runtime.executors import Executor
from bigcell.engine.runtime.leases import refuse_beside_workers
from bigcell.engine.runtime.once import ALONE, OnceGuard
from bigcell.engine.runtime.status import StatusFile
from bigcell.engine.tasks.job import Job
from bigcell.engine.tasks.stores import is_made, make_store
from bigcell.io.atomic import write_text
from bigcell.io.labels.destination import LabelTarget, check_again, final_path, label_name
from bigcell.io.labels.label_store import LabelForm, LabelStore, create_labels, discard_labels, reopen_labels
from bigcell.io.labels.publish import finish, has_name, publish
from bigcell.io.ngff.flow_store import FlowStore, are_flows_of, check_flows_place, publish_flows
from bigcell.io.ngff.image import ZarrVolume
from bigcell.io.scratch import DiskScratch
from bigcell.io.stores.staged_folder import remove_tree, unmark
from bigcell.io.stores.urls import joined
from bigcell.io.tables import ObjectTable
from bigcell.preprocess.foreground import Foreground
from bigcell.provenance.record import RunRecord, host
from bigcell.report.gather import REPORT_FILE, Sources, Subject, gather, write_report
from bigcell.report.statistics import begin_session, versions_used
from bigcell.stitch.number import smallest_dtype

TABLE_FILE = "objects.parquet"


@dataclass(frozen=True)
class RunFolder:
    """A plan, its inputs and the place for its labels: what `resume` reads back. `inputs` reopens the inputs.

    `request` is what was asked for, `kept` the path where flows are to be kept ("" for nowhere), `work_place` the
    folder to work in ("" for the usual one), `report` whether a page about the run is put beside the labels,
    `foreground` that of the plan, if it has one, until it is saved, `run` a word that no other run has, `sample` what
    the files of the inputs were when it began.
    """

    plan: Plan
    target: LabelTarget
    inputs: dict[str, Any]
    request: dict[str, Any] = field(default_factory=dict)
    kept: str = ""
    work_place: str = ""
    report: bool = True
    foreground: Foreground | None = field(default=None, repr=False)
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    sample: dict[str, Any] = field(default_factory=dict, repr=False)

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
        return is_unfinished(self.work)

    def is_at(self, folder: Path) -> bool:
        """Whether `folder` is where this run works."""
        return self.work.resolve() == folder.resolve()

    @contextmanager
    def leased(
        self, listener: Listener = ignore, *, shared: bool = False, what: str = "it cannot be started over"
    ) -> Iterator[None]:
        """Be the one that makes these labels, and the flows that are kept; or with `shared` one worker of an array.

        The folder of a run that has ended meanwhile is removed when nothing but the labels is held any more: until
        then it says which flows were kept, and a killed driver leaves no lease that nobody knows of.

        OutputError where another driver, on whatever machine, makes labels of that name now; PlanError, which says
        `what`, where workers of an array do.
        """
        if not shared and not is_ended(self.work):
            refuse_beside_workers(self.work, what)
        home, about = self.target.home, {"run": self.run}
        with held_places(self._places(), home, about, shared=shared):
            with held_places(self._kept_places(), home, about, shared=shared):
                yield
            if is_ended(self.work):
                discard(self.work, listener)

    def end(self) -> None:
        """Put down that the labels stand and are known: what is left is to be removed."""
        begin_tidying(self.work, self._kept_places())

    def _places(self) -> list[str]:
        """The work folder of labels elsewhere, which tells at once that a holder is dead; and the labels."""
        work = [str(self.work)] if self.target.is_remote else []
        return [*work, self.target.home]

    def save(self) -> None:
        """Make the work folder, with the plan in it. Refuses one that holds another unfinished run."""
        if self.is_planned and not self.target.overwrite:
            again = command("resume", self.target.store, labels=self.target.name, work=self.work_place)
            raise OutputError(
                f"an unfinished run is at {self.work}: continue it with `{again}`, or start over with --overwrite"
            )
        self._check_still_free()
        start_over(self.work)
        for final in self._finals():  # a mark that is there is of an earlier run
            unmark(final)
        if self.foreground is not None:  # before the plan: where there is one, there is all that it needs
            self.scratch.save(ENTRY, self.foreground.arrays())
        values = {
            "plan": self.plan.to_json(),
            "target": vars(self.target),
            "inputs": self.inputs,
            "request": self.request,
            "kept": self.kept,
            "report": self.report,
            "run": self.run,
            "sample": self.sample,
        }
        DiskScratch(self.work).write_note(PLAN_FILE.removesuffix(".json"), values)
        started(self.work)

    def check_loaded(self, home: ZarrVolume | None) -> None:
        """All that was checked when the run was planned, again, of a plan that was read from a file: OutputError."""
        if not has_name(self.target):
            check_again(self.target, home)
        if self.kept and not are_flows_of(self.kept, self.about_flows()):
            check_flows_place(self.kept, overwrite=self.target.overwrite)

    @classmethod
    def load(cls, work: Path, work_place: str | None = "") -> RunFolder:
        """The unfinished run in `work`, which lies where runs for its labels work with `--work work_place`.

        With None it may lie anywhere. OutputError for a plan that cannot be read or lies elsewhere.
        """
        try:
            values = read_object(work / PLAN_FILE)
            target = from_document(LabelTarget, values["target"])
            planned, kept, report = Plan.from_json(values["plan"]), values["kept"], bool(values.get("report", True))
            run, sample = str(values.get("run", planned.id)), dict(values.get("sample", {}))
            found = cls(
                planned,
                target,
                values["inputs"],
                values["request"],
                kept,
                work_place or "",
                report,
                run=run,
                sample=sample,
            )
        except FileNotFoundError as error:
            raise OutputError(
                f"there is no unfinished run at {work}; start one with `bigcell segment`, or say by --work where it is"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(f"the plan at {work} cannot be read ({error}); start over with --overwrite") from error
        label_name(target.name)
        if work_place is not None and not found.is_at(work):
            raise OutputError(
                f"the plan in {work} is for labels {target.name!r} in {target.store}, whose runs work in {found.work}: "
                "move it back, or start a run of your own"
            )
        return found

    def _check_still_free(self) -> None:
        """Refuse a name that was taken since it was checked, while the plan was made."""
        if not self.target.is_remote and final_path(self.target).exists() and not self.target.overwrite:
            raise OutputError(f"{final_path(self.target)} exists by now; choose another name, or allow overwriting")

    def _finals(self) -> list[Path]:
        """What gets a name on a disk."""
        labels = [] if self.target.is_remote else [final_path(self.target)]
        return [*labels, *map(Path, self._kept_places())]

    def _kept_places(self) -> list[str]:
        """The store of kept flows, if there is one."""
        return [self.kept] if self.kept else []

    def about_flows(self) -> dict[str, Any]:
        """All that making masks from the kept flows needs."""
        return {
            "plan": self.plan.to_json(),
            "inputs": self.inputs,
            "request": self.request,
            "store": self.target.store,
        }


def execute(
    outcome: RunFolder,
    image: Volume | None,
    given: Volume | None,
    executor: Executor,
    listener: Listener = ignore,
    turns: OnceGuard = ALONE,
) -> Result:
    """Run the plan, or what is left of it, and publish the labels; `leased` then removes the work folder.

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
    outcome: RunFolder,
    image: Volume | None,
    given: Volume | None,
    executor: Executor,
    status: StatusFile,
    turns: OnceGuard,
) -> Result:
    if has_name(outcome.target):  # the labels are there: an earlier driver was cut off in its last steps
        turns.once("publish", lambda: not outcome.is_planned, lambda: finish(outcome.target, then=outcome.end))
        return _made_by_others(outcome)
    begin_session(outcome.scratch, time.time(), status)
    kept = FlowStore.at(outcome.kept, outcome.plan.extent) if outcome.kept else None
    run = Run(Job(outcome.plan, image, given, outcome.scratch, kept=kept), executor, status)
    if kept is not None and turns.shared:
        turns.once("flows", lambda: is_made(run.job, "flows"), lambda: make_kept(run, kept))
    try:
        count = segment_volume(run, lambda n: _open_labels(run, outcome, image, given, n, turns))
    except ChunkError:  # may be mended, or come back
        raise
    except InputError:
        if not turns.shared:
            give_up(outcome, run, status)
        raise
    table = _write_table(run, outcome.work / TABLE_FILE, image, given)
    results: list[Result] = []
    turns.once(
        "publish", lambda: not outcome.is_planned, lambda: results.append(_publish(outcome, run, count, table, status))
    )
    return results[0] if results else _made_by_others(outcome)


def _made_by_others(outcome: RunFolder) -> Result:
    """What another driver made of this run; PlanError if there is no such thing."""
    result = result_of(outcome)
    if result is None:
        raise PlanError(f"the run at {outcome.work} is no longer there: it was given up or started over meanwhile")
    return result


def _publish(outcome: RunFolder, run: Run, count: int, table: Path, status: StatusFile) -> Result:
    """The end of a run, whose labels and table are written: what only one driver may do, again if one was cut off."""
    if has_name(outcome.target):  # the worker whose turn it was died in the last steps
        finish(outcome.target, then=outcome.end)
        return _made_by_others(outcome)
    store, kept = run.job.labels, run.job.kept
    assert isinstance(store, LabelStore)
    check_voxels(outcome.sample, run.job.image, run.job.given, outcome.scratch, patient=True)
    record = _record(outcome, run, count)
    if kept is not None:
        _publish_flows(outcome, kept, run.job.image)
    record_file = outcome.work / RECORD_FILE
    write_text(record_file, json.dumps(record.to_json(), indent=1))
    files = {TABLE_FILE: table, RECORD_FILE: record_file}
    if outcome.report:
        files |= _report(outcome, run, record, status)
    path = publish(store, attributes={"bigcell": record.to_json()}, files=files, then=outcome.end)
    return Result(count, path=path, counts=record.result, stages=run.stages)


def give_up(outcome: RunFolder, run: Run, listener: Listener) -> None:
    """Remove all that was made so far: the input cannot become right."""
    if isinstance(run.job.labels, LabelStore):
        discard_labels(run.job.labels)
    if run.job.kept is not None:
        remove_tree(run.job.kept.building)
    discard(outcome.work, listener)


def result_of(outcome: RunFolder) -> Result | None:
    """What another driver made of this run; None if it is not finished, or if what is there is of another run."""
    result = None if outcome.is_planned else finished(outcome.target.store, outcome.target.name)
    if result is None:
        return None
    made = Plan.from_json(read_record(joined(outcome.target.home, RECORD_FILE)).plan)
    return result if made.id == outcome.plan.id else None


def _open_labels(
    run: Run, outcome: RunFolder, image: Volume | None, given: Volume | None, count: int, turns: OnceGuard
) -> LabelStore:
    """The label store: a new one, unless tasks of this run have written into it already."""
    like = image if isinstance(image, ZarrVolume) else given if isinstance(given, ZarrVolume) else None
    chunk, shard = output_chunks(outcome.plan.extent)
    form = LabelForm(outcome.plan.extent, outcome.plan.spacing, like, smallest_dtype(count), chunk, shard)

    make = partial(make_store, run.job, "labels", "write_labels", lambda: create_labels(outcome.target, form))
    turns.once("labels", lambda: is_made(run.job, "labels"), make)
    return reopen_labels(outcome.target, form)


def _write_table(run: Run, path: Path, image: Volume | None, given: Volume | None) -> Path:
    """The object table, a folder of parts."""
    like = image if image is not None else given
    write_table(run, ObjectTable(path, run.job.plan.spacing, getattr(like, "origin_um", (0.0, 0.0, 0.0))))
    return path


def _publish_flows(outcome: RunFolder, kept: FlowStore, image: Volume | None) -> None:
    """Give the kept flows their name, with all that making masks from them needs."""
    publish_flows(
        kept,
        spacing=outcome.plan.spacing,
        origin_um=getattr(image, "origin_um", (0, 0, 0)),
        about=outcome.about_flows(),
        overwrite=outcome.target.overwrite,
    )


def _report(outcome: RunFolder, run: Run, record: RunRecord, status: StatusFile) -> dict[str, Path]:
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


def _record(outcome: RunFolder, run: Run, count: int) -> RunRecord:
    digest = hashlib.sha256(run.digests.hex().encode())
    result = {"objects": count, "labels_sha256": digest.hexdigest(), **tallies(run)}
    command = {"inputs": outcome.inputs, "store": outcome.target.store, "labels": outcome.target.name}
    return RunRecord(outcome.plan.to_json(), command, versions_used(outcome.scratch), host(), run.stages, result)


def tallies(run: Run) -> dict[str, int]:
    """What was counted on the way: foreground voxels, handed over, lost; network tiles; blocks that were skipped."""
    counted = run.sums
    none = Counter[str]()
    return {
        "foreground": counted["follow_flows"]["foreground"],
        "handed_over": counted["follow_flows"]["escaped"],
        "lost": counted["label_blocks"]["lost"],
        "small": counted["merge_objects"]["objects"]
        - counted["merge_objects"]["kept"]
        + counted["assign_ids"]["small"],
        "unfit": counted.get("filter_by_flow_error", none)["unfit"],
        "filled": counted.get("fill_holes", none)["filled"],
        "tiles": counted.get("predict_flows", none)["tiles"],
        "bad_chunks": len(bad_chunks(run.job.scratch)),
        "skipped": len(run.job.grid) - len(run.blocks),
    }
