"""A run that leaves files: its work folder, the labels it publishes, and how it is taken up again after a crash."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bigcell.core.errors import InputError, OutputError, PlanError
from bigcell.core.volume import Volume
from bigcell.engine.events import Listener, ignore
from bigcell.engine.executors import Executor
from bigcell.engine.job import Job
from bigcell.engine.objects import table_columns
from bigcell.engine.plan import Plan
from bigcell.engine.run import Result, Run, object_rows, segment_volume
from bigcell.engine.settings import output_chunks
from bigcell.io.flows import FlowStore, publish_flows
from bigcell.io.open import ZarrVolume
from bigcell.io.publish import publish
from bigcell.io.scratch import DiskScratch
from bigcell.io.tables import ObjectTableWriter
from bigcell.io.targets import LabelTarget
from bigcell.io.write import LabelStore, create_labels, reopen_labels
from bigcell.provenance.fingerprint import difference
from bigcell.provenance.record import RunRecord, host, versions
from bigcell.stitch.number import smallest_dtype

PLAN_FILE, RECORD_FILE, TABLE_FILE = "plan.json", "record.json", "objects.parquet"


def work_folder(store: str | Path, name: str) -> Path:
    """Where a run for labels `name` in `store` keeps what it has done so far: beside the store, never in it."""
    store = Path(store)
    return store.with_name(f"{store.name}.bigcell") / name


@dataclass(frozen=True)
class Outcome:
    """A plan, its inputs and the place for its labels: what `resume` reads back. `inputs` reopens the inputs.

    `request` is what was asked for, `kept` the path where flows are to be kept ("" for nowhere).
    """

    plan: Plan
    target: LabelTarget
    inputs: dict[str, Any]
    request: dict[str, Any] = field(default_factory=dict)
    kept: str = ""

    @property
    def work(self) -> Path:
        return work_folder(self.target.store, self.target.name)

    def save(self) -> None:
        """Make the work folder, with the plan in it. Refuses one that holds another unfinished run."""
        if (self.work / PLAN_FILE).exists():
            if not self.target.overwrite:
                raise OutputError(
                    f"an unfinished run is at {self.work}: continue it with `bigcell resume {self.target.store}`, "
                    "or start over with --overwrite"
                )
            shutil.rmtree(self.work)
        values = {
            "plan": self.plan.to_json(),
            "target": vars(self.target),
            "inputs": self.inputs,
            "request": self.request,
            "kept": self.kept,
        }
        DiskScratch(self.work).write_note(PLAN_FILE.removesuffix(".json"), values)

    @classmethod
    def load(cls, work: Path) -> Outcome:
        """The unfinished run in `work`."""
        try:
            values = json.loads((work / PLAN_FILE).read_text())
            target = LabelTarget(**values["target"])
            return cls(Plan.from_json(values["plan"]), target, values["inputs"], values["request"], values["kept"])
        except FileNotFoundError as error:
            raise OutputError(f"there is no unfinished run at {work}; start one with `bigcell segment`") from error
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(f"the plan at {work} cannot be read ({error}); start over with --overwrite") from error


def execute(
    outcome: Outcome, image: Volume | None, given: Volume | None, executor: Executor, listener: Listener = ignore
) -> Result:
    """Run the plan, or what is left of it, publish the labels, and remove the work folder.

    Bad input found on the way leaves nothing behind; anything else leaves the work folder for `resume`.
    """
    scratch = DiskScratch(outcome.work / "scratch" / outcome.plan.id[:12])
    kept = FlowStore.at(outcome.kept, outcome.plan.extent) if outcome.kept else None
    run = Run(Job(outcome.plan, image, given, scratch, kept=kept), executor, listener)
    try:
        count = segment_volume(run, lambda n: _open_labels(run, outcome, image, given, n))
    except InputError:
        discard(outcome)
        raise
    store = run.job.labels
    assert isinstance(store, LabelStore)
    table = _write_table(run, outcome.work / TABLE_FILE, image, given)
    record = _record(outcome, run, count)
    if kept is not None:
        _publish_flows(outcome, kept, image)
    record_file = outcome.work / RECORD_FILE
    record_file.write_text(json.dumps(record.to_json(), indent=1))
    path = publish(store, attributes={"bigcell": record.to_json()}, files={TABLE_FILE: table, RECORD_FILE: record_file})
    discard(outcome)
    return Result(count, path=path, counts=record.result, stages=run.stages)


def discard(outcome: Outcome) -> None:
    """Remove the work folder, and its parent if no other run has one there."""
    shutil.rmtree(outcome.work, ignore_errors=True)
    if outcome.work.parent.exists() and not any(outcome.work.parent.iterdir()):
        outcome.work.parent.rmdir()


def finished(target_store: str | Path, name: str) -> Result | None:
    """The result of a finished run, from its record; None if there is none."""
    path = Path(target_store) / "labels" / name
    if not (path / RECORD_FILE).exists():
        return None
    record = read_record(path / RECORD_FILE)
    return Result(int(record.result["objects"]), path=path, counts=record.result, stages=record.stages)


def read_record(path: str | Path) -> RunRecord:
    """The run record at `path`: its JSON file, or the labels' folder that holds it."""
    path = Path(path)
    file = path / RECORD_FILE if path.is_dir() else path
    try:
        return RunRecord.from_json(json.loads(file.read_text()))
    except FileNotFoundError as error:
        raise InputError(f"{file} is not there; give the record.json of a run or the folder of its labels") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file} is not JSON ({error}); give the record.json of a run") from error


def check_same_input(planned: Mapping[str, Any], found: Mapping[str, Any], what: str) -> None:
    """Refuse an input that is not the one the plan was made for."""
    changed = difference(planned, found)
    if changed:
        raise PlanError(
            f"the {what} is not the one that was planned ({'; '.join(changed)}): put it back, or start anew"
        )


def _open_labels(run: Run, outcome: Outcome, image: Volume | None, given: Volume | None, count: int) -> LabelStore:
    """The label store: a new one, unless tasks of an earlier run have written into it already."""
    like = image if isinstance(image, ZarrVolume) else given if isinstance(given, ZarrVolume) else None
    chunk, shard = output_chunks(outcome.plan.extent)
    begun = bool(run.job.journal.finished("apply"))
    make = reopen_labels if begun else create_labels
    return make(
        outcome.target,
        extent=outcome.plan.extent,
        spacing=outcome.plan.spacing,
        image=like,
        dtype=smallest_dtype(count),
        chunk=chunk,
        shard=shard,
    )


def _write_table(run: Run, path: Path, image: Volume | None, given: Volume | None) -> Path:
    """The object table, streamed a layer of blocks at a time."""
    like = image if image is not None else given
    plan = run.job.plan
    with ObjectTableWriter(path, spacing=plan.spacing, origin_um=getattr(like, "origin_um", (0, 0, 0))) as table:
        for first, rows in object_rows(run):
            if len(rows):
                table.write(table_columns(first, rows, plan.extent))
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


def _record(outcome: Outcome, run: Run, count: int) -> RunRecord:
    regions = run.job.journal.finished("apply")
    digest = hashlib.sha256("".join(regions[str(i)]["sha256"] for i in range(len(regions))).encode())
    result = {"objects": count, "labels_sha256": digest.hexdigest(), **tallies(run)}
    command = {"inputs": outcome.inputs, "store": outcome.target.store, "labels": outcome.target.name}
    return RunRecord(outcome.plan.to_json(), command, versions(), host(), run.stages, result)


def tallies(run: Run) -> dict[str, int]:
    """What was counted on the way: foreground voxels, handed over, lost; network tiles."""
    notes = run.job.journal.finished
    follow = notes("follow").values()
    return {
        "foreground": sum(n["foreground"] for n in follow),
        "handed_over": sum(n["escaped"] for n in follow),
        "lost": sum(n["lost"] for n in notes("name").values()),
        "small": sum(n["objects"] - n["kept"] for n in notes("reduce").values())
        + sum(n["small"] for n in notes("number").values()),
        "unfit": sum(n["unfit"] for n in notes("check").values()),
        "filled": sum(n["filled"] for n in notes("fill").values()),
        "tiles": sum(n["tiles"] for n in notes("predict").values()),
    }
