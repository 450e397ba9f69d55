"""One driver a label name at a time, runs that were cut off before they began, and plans that somebody else wrote."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bigcell
from bigcell import api
from bigcell.core.errors import OutputError, PlanError
from bigcell.engine.runs import run_folder
from bigcell.engine.runs.find_run import read_status
from bigcell.engine.runs.work_folder import work_folder
from bigcell.engine.runtime.events import Event, Listener, Notice, TaskDone
from bigcell.io.ngff.write_image import write_image
from bigcell.io.scratch import DiskScratch
from bigcell.io.stores.staged_folder import MARK
from bigcell.synthetic import sample_volume
from bigcell.testing.disturbed import Stopping
from bigcell.testing.files import tree_of

BLOCK = (18, 30, 23)


def tell_at_first_task(do: Callable[[], None]) -> Callable[[Event], None]:
    """A listener that calls `do` once, while a driver is at work."""
    told = list[Event]()

    def listen(event: Event) -> None:
        if isinstance(event, TaskDone) and not told:
            told.append(event)
            do()

    return listen


def others(flow_store: Path, out: Path, elsewhere: Path) -> dict[str, Callable[[], object]]:
    """What somebody may try beside a run."""
    again: dict[str, Any] = {"flows": flow_store, "output": out, "block": BLOCK, "cluster": "serial"}
    return {
        "segment": lambda: bigcell.segment(**again, overwrite=True),
        "segment in another work folder": lambda: bigcell.segment(**again, overwrite=True, work=elsewhere),
        "resume": lambda: bigcell.resume(out, cluster="serial"),
        "worker": lambda: api.worker(out, index=0, of=1),
        "plan": lambda: api.save_plan(flows=flow_store, output=out, overwrite=True),
    }


def test_nobody_else_makes_labels_of_that_name(flow_store: Path, tmp_path: Path) -> None:
    out, said = tmp_path / "out.zarr", list[str]()
    alone = bigcell.segment(flows=flow_store, output=tmp_path / "alone.zarr", block=BLOCK, cluster="serial")

    def try_all() -> None:
        for what, do in others(flow_store, out, tmp_path / "elsewhere").items():
            with pytest.raises(OutputError, match="on this machine is at work on"):
                do()
            said.append(what)
        bigcell.segment(flows=flow_store, output=out, labels="other", block=BLOCK, cluster="serial")

    made = bigcell.segment(
        flows=flow_store, output=out, block=BLOCK, cluster="serial", listener=tell_at_first_task(try_all)
    )
    assert len(said) == 5
    assert made.objects == alone.objects
    assert sorted(p.name for p in (out / "labels").iterdir()) == ["cells", "other", "zarr.json"]
    assert not (tmp_path / "out.zarr.bigcell").exists()
    for do in list(others(flow_store, out, tmp_path / "elsewhere").values())[:3]:
        do()  # now it is free


def test_a_name_that_was_taken_while_the_plan_was_made(flow_store: Path, tmp_path: Path, monkeypatch) -> None:
    out, made = tmp_path / "out.zarr", api._planned
    options: dict[str, Any] = {"flows": flow_store, "output": out, "block": BLOCK, "cluster": "serial"}

    def slow(*arguments: Any) -> Any:
        monkeypatch.setattr(api, "_planned", made)
        bigcell.segment(**options)
        return made(*arguments)

    monkeypatch.setattr(api, "_planned", slow)
    with pytest.raises(OutputError, match="exists by now"):
        bigcell.segment(**options)
    assert not (tmp_path / "out.zarr.bigcell").exists()


def test_kept_flows_are_made_by_one_driver(tmp_path: Path) -> None:
    made = sample_volume((6, 32, 32), diameter=14, seed=3)
    image = write_image(tmp_path / "image.zarr", made.image)
    options: dict[str, Any] = {"diameter": 14, "tile": 48, "cluster": "serial", "keep_flows": tmp_path / "kept.zarr"}

    def other() -> None:
        with pytest.raises(OutputError, match="is at work on"):
            bigcell.segment(image, labels="other", **options)

    bigcell.segment(image, listener=tell_at_first_task(other), **options)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image.zarr", "kept.zarr"]


def test_the_folder_of_a_run_tells_of_kept_flows_until_their_lease_is_gone(tmp_path: Path, monkeypatch) -> None:
    made = sample_volume((6, 32, 32), diameter=14, seed=3)
    image = write_image(tmp_path / "image.zarr", made.image)
    lease = tmp_path / ".kept.zarr.lease"

    def cut(work: Path, listener: Listener) -> None:
        assert work.is_dir()
        assert not lease.exists()
        lease.write_text("{}")  # as one who was killed a moment before leaves it
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run_folder, "discard", cut)
        with pytest.raises(KeyboardInterrupt):
            bigcell.segment(image, diameter=14, tile=48, cluster="serial", keep_flows=tmp_path / "kept.zarr")
    bigcell.resume(image)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image.zarr", "kept.zarr"]


@pytest.mark.parametrize("there", [False, True], ids=["new", "overwrite"])
def test_cut_off_before_the_plan_is_saved(flow_store: Path, tmp_path: Path, monkeypatch, there: bool) -> None:
    out = tmp_path / "out.zarr"
    options: dict[str, Any] = {"flows": flow_store, "output": out, "block": BLOCK, "cluster": "serial"}
    if there:
        bigcell.segment(**options, cellprob_threshold=2.0)
    before = tree_of(out) if there else {}
    write = DiskScratch.write_note

    def cut(scratch: DiskScratch, name: str, note: Any) -> None:
        if name == "plan":
            raise KeyboardInterrupt
        write(scratch, name, note)

    with monkeypatch.context() as patched:
        patched.setattr(DiskScratch, "write_note", cut)
        with pytest.raises(KeyboardInterrupt):
            bigcell.segment(**options, overwrite=there)
    for ask in (bigcell.resume, read_status):
        with pytest.raises(OutputError, match="was cut off before its plan was saved"):
            ask(out)
    assert (tree_of(out) if there else {}) == before
    assert bigcell.segment(**options, overwrite=there).objects > 10
    assert not (tmp_path / "out.zarr.bigcell").exists()


def test_resume_says_what_it_did_not_do(flow_store: Path, tmp_path: Path) -> None:
    out, said = tmp_path / "out.zarr", list[Event]()
    bigcell.segment(flows=flow_store, output=out, block=BLOCK, cluster="serial")
    bigcell.resume(out, listener=said.append)
    assert [e.text for e in said if isinstance(e, Notice)] == [
        "there is no unfinished run for labels 'cells': those that are there were finished before"
    ]


@pytest.mark.parametrize("there", [None, "others"])
def test_the_last_folder_goes_unless_another_run_is_there(flow_store: Path, tmp_path: Path, there: str | None) -> None:
    out = tmp_path / "out.zarr"
    bigcell.segment(flows=flow_store, output=out, block=BLOCK, cluster="serial")
    place = tmp_path / "out.zarr.bigcell"
    (place / there if there else place).mkdir(parents=True)
    bigcell.resume(out, labels="cells", cluster="serial")
    assert place.exists() == bool(there)


@pytest.fixture
def stopped(flow_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plan of a run that was interrupted, with kept flows."""
    made = sample_volume((6, 32, 32), diameter=14, seed=3)
    image = write_image(tmp_path / "image.zarr", made.image)
    with monkeypatch.context() as patched:
        patched.setattr(api, "choose_executor", lambda *_: Stopping(2))
        with pytest.raises(KeyboardInterrupt):
            bigcell.segment(
                image, output=tmp_path / "out.zarr", diameter=14, tile=48, keep_flows=tmp_path / "kept.zarr"
            )
    return work_folder(tmp_path / "out.zarr", "cells") / "plan.json"


def edit(plan: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(plan.read_text())
    change(values)
    plan.write_text(json.dumps(values))


def test_the_work_folder_is_its_owners_alone(stopped: Path) -> None:
    assert [stat.S_IMODE(p.stat().st_mode) for p in (stopped.parent, stopped.parent.parent)] == [0o700, 0o700]


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "another name": lambda plan: plan["target"].update(name="others"),
    "a name that leads away": lambda plan: plan["target"].update(name="../../private"),
    "another store": lambda plan: plan["target"].update(store=plan["target"]["store"].replace("out", "private")),
    "a relative store": lambda plan: plan["target"].update(store="out.zarr"),
    "a prefix": lambda plan: plan["target"].update(prefix="../../private"),
    "another version": lambda plan: plan["target"].update(version="0.9"),
    "not its own store": lambda plan: plan["target"].update(own=False),
    "flows over a folder": lambda plan: plan.update(kept=plan["kept"].replace("kept", "private")),
    "flows over a folder, allowed": lambda plan: (
        plan.update(kept=plan["kept"].replace("kept", "private")),
        plan["target"].update(overwrite=True),
    ),
    "flows over an image, allowed": lambda plan: (
        plan.update(kept=plan["kept"].replace("kept", "image")),
        plan["target"].update(overwrite=True),
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_plan_of_somebody_else_writes_nowhere(stopped: Path, tmp_path: Path, what: str) -> None:
    private = tmp_path / "private.zarr"
    private.mkdir()
    (private / "file").write_text("precious")
    before = {p: tree_of(tmp_path / p) for p in ("image.zarr", "private.zarr")}
    edit(stopped, HOSTILE[what])
    with pytest.raises((OutputError, PlanError)):
        bigcell.resume(tmp_path / "out.zarr", cluster="serial")
    assert {p: tree_of(tmp_path / p) for p in before} == before
    known = {"image.zarr", "private.zarr", "out.zarr", "out.zarr.bigcell", ".kept.zarr.building"}
    assert {p.name for p in tmp_path.iterdir()} - known == {"flows.zarr"} & {p.name for p in tmp_path.iterdir()}


@pytest.mark.parametrize("place", ["private.zarr", "image.zarr", "file", "private.zarr/new"])
def test_a_tidying_list_of_somebody_else_frees_nothing(flow_store: Path, tmp_path: Path, place: str) -> None:
    """It can name our own labels and flows, whose marks and leases go, and nothing else."""
    out = tmp_path / "out.zarr"
    bigcell.segment(flows=flow_store, output=out, block=BLOCK, cluster="serial")
    write_image(tmp_path / "image.zarr", np.ones((4, 20, 20), np.uint16))
    (tmp_path / "file").touch()
    (tmp_path / "private.zarr").mkdir()
    for name in ("image.zarr", "private.zarr"):
        (tmp_path / name / MARK).touch()
        (tmp_path / f".{name}.lease").write_text("theirs")
    before = tree_of(tmp_path)
    work = work_folder(out, "cells")
    work.mkdir(parents=True)
    (work / "tidying.json").write_text(json.dumps({"places": [str(tmp_path / place)]}))
    bigcell.resume(out, cluster="serial")
    assert tree_of(tmp_path) == before


def test_an_untouched_plan_goes_on(stopped: Path, tmp_path: Path) -> None:
    assert bigcell.resume(tmp_path / "out.zarr", cluster="serial").objects >= 0
    assert not stopped.parent.parent.exists()


def test_an_image_is_never_replaced_by_flows(tmp_path: Path) -> None:
    image = write_image(tmp_path / "image.zarr", np.ones((4, 20, 20), np.uint16))
    with pytest.raises(OutputError, match="holds no flows that bigcell kept"):
        bigcell.segment(image, output=tmp_path / "o.zarr", keep_flows=image, overwrite=True, cluster="serial")
