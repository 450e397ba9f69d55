"""Reports of real runs: their numbers are those of record and table, and they never stand in the way of labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import bigcell
from bigcell.cli.app import app
from bigcell.core.box import Box
from bigcell.core.errors import BlockError
from bigcell.engine.runs import run_folder
from bigcell.engine.runtime.events import Event, Notice
from bigcell.engine.tasks.stages import STAGES
from bigcell.io.tables import read_objects
from bigcell.report import gather
from bigcell.report.facts import Facts
from bigcell.report.page import facts_in
from bigcell.testing.flows import FlowLattice

BLOCK = (20, 32, 32)


def facts_of(path: Any) -> Facts:
    return facts_in((Path(path) / "report.html").read_text())


def call(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(w) for w in words])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def result(flow_store: Path) -> Any:
    return bigcell.segment(flows=flow_store, block=BLOCK, cluster="serial")


def test_its_numbers_are_those_of_record_and_table(result: Any) -> None:
    facts, record = facts_of(result.path), json.loads((result.path / "record.json").read_text())
    assert facts.state == "finished"
    assert facts.title == f"flows.zarr: {result.objects} objects"
    assert {s.name: s.tasks for s in facts.stages} == {n: s["tasks"] for n, s in record["stages"].items() if s["tasks"]}
    assert all(s.tasks == s.total for s in facts.stages)
    assert max(s.peak_bytes for s in facts.stages) == max(s["peak_bytes"] for s in record["stages"].values())
    voxels = read_objects(result.path / "objects.parquet")["voxels"]
    assert facts.histogram is not None
    assert facts.histogram.counts == tuple(np.histogram(voxels, np.array(facts.histogram.edges) - 1e-6)[0])
    assert sum(facts.histogram.counts) == result.objects
    assert facts.blocks is not None
    seconds, objects, retries = facts.blocks.quantities
    assert facts.blocks.blocks == (2, 2, 3)
    assert objects.sum == result.objects
    assert seconds.sum > 0
    assert retries.sum == 0
    assert facts.versions == record["versions"]
    assert f"bigcell rerun {result.path}/record.json" in facts.command
    assert facts.lost == ()
    assert facts.seams is not None
    assert facts.seams.clean
    assert facts.seams.faces > 3
    assert len(facts.pictures) == 6
    assert facts.times is not None
    assert facts.times.pauses == ()


def test_none_where_none_is_wanted(tmp_path: Path, flow_store: Path, lattice: FlowLattice) -> None:
    words = ("segment", "--flows", flow_store, "--output", tmp_path / "o.zarr", "--cluster", "serial", "--no-report")
    code, said, _ = call(*words)
    assert code == 0
    assert "report" not in said
    assert not (tmp_path / "o.zarr" / "labels" / "cells" / "report.html").exists()
    before = set(tmp_path.rglob("*"))
    bigcell.segment(flows=lattice.read(Box.of(lattice.extent)))  # in memory
    assert set(tmp_path.rglob("*")) == before


def test_where_it_is_is_told(tmp_path: Path, flow_store: Path) -> None:
    code, said, _ = call("segment", "--flows", flow_store, "--cluster", "serial")
    assert code == 0
    assert f"report   {flow_store}/labels/cells/report.html" in said


def test_a_part_that_cannot_be_made_is_left_out_and_told(flow_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no <b>luck</b>")

    monkeypatch.setattr(gather, "check_seams", broken)
    result = bigcell.segment(flows=flow_store, block=BLOCK, cluster="serial")
    facts = facts_of(result.path)
    assert facts.seams is None
    assert facts.histogram is not None
    assert facts.lost == ("This report has no check of seams: RuntimeError: no <b>luck</b>",)


def test_a_report_that_cannot_be_made_does_not_lose_the_labels(
    flow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("no space left on device")

    told: list[Event] = []
    monkeypatch.setattr(run_folder, "write_report", broken)
    result = bigcell.segment(flows=flow_store, block=BLOCK, cluster="serial", listener=told.append)
    assert (result.path / "record.json").exists()
    assert not (result.path / "report.html").exists()
    assert any(isinstance(e, Notice) and "no space left" in e.text for e in told)


def test_a_resumed_run_counts_everything_once(
    tmp_path: Path, flow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One task fails at first, one always; the second driver does only the latter, and what comes after."""
    step, failures = STAGES["label_blocks"].run, {2: 1, 6: 10**6}

    def failing(job: Any, item: Any) -> dict[str, Any]:
        if failures.get(item[0], 0) > 0:
            failures[item[0]] -= 1
            raise ZeroDivisionError("division by zero")
        return step(job, item)

    out = tmp_path / "out.zarr"
    monkeypatch.setitem(STAGES, "label_blocks", STAGES["label_blocks"].running(failing))
    with pytest.raises(BlockError):
        bigcell.segment(flows=flow_store, output=out, block=BLOCK, cluster="serial")
    code, said, _ = call("report", out)
    assert code == 0
    page = Path(said.strip())
    assert page.parent == tmp_path / "out.zarr.bigcell" / "cells"
    early = facts_in(page.read_text())
    assert early.state == "stopped"
    assert early.failures == ("label_blocks of 6 (20:36, 0:32, 0:32): ZeroDivisionError: division by zero",)
    assert {s.name: (s.tasks, s.total) for s in early.stages}["label_blocks"] == (11, 12)
    assert early.histogram is None

    failures[6] = 0
    resumed = bigcell.resume(out, cluster="serial")
    plain = bigcell.segment(flows=flow_store, block=BLOCK, cluster="serial")
    facts, other = facts_of(resumed.path), facts_of(plain.path)
    assert [(s.name, s.tasks, s.total, s.voxels) for s in facts.stages] == [
        (s.name, s.tasks, s.total, s.voxels) for s in other.stages
    ]
    assert facts.histogram == other.histogram
    assert facts.blocks is not None
    assert other.blocks is not None
    assert facts.blocks.quantities[1] == other.blocks.quantities[1]
    assert facts.blocks.quantities[2].sum == 1  # of block 2; what was set aside was not done
    assert facts.notices == ("4 x tried in vain: naming cells: ZeroDivisionError: division by zero",)
    assert facts.times is not None
    assert len(facts.times.pauses) == 1
    assert "by 2 drivers" in dict(facts.rows)["took"]


def test_it_is_made_again(tmp_path: Path, result: Any, flow_store: Path) -> None:
    page = (result.path / "report.html").read_text()
    code, said, _ = call("report", flow_store, "-o", tmp_path / "again.html")
    assert (code, said.strip()) == (0, str(tmp_path / "again.html"))
    assert (tmp_path / "again.html").read_text() == page
    (result.path / "report.html").unlink()
    assert call("report", flow_store)[:2] == (0, f"{result.path}/report.html\n")
    first, later = facts_in(page), facts_of(result.path)
    assert later.histogram == first.histogram
    assert later.seams == first.seams
    assert later.pictures == first.pictures
    assert [(s.name, s.tasks) for s in later.stages] == [(s.name, s.tasks) for s in first.stages]
    assert later.blocks is None


def test_no_run_is_one_line(tmp_path: Path) -> None:
    code, _, said = call("report", tmp_path / "nothing.zarr")
    assert code == 2
    assert "there is no run" in said
    assert said.count("\n") == 1


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, result: Any, flow_store: Path) -> None:
    code, _, said = call("report", flow_store, "-o", tmp_path / "missing" / "page.html")
    assert code == 2
    assert "give another file with -o" in said


def test_names_from_outside_stay_words(tmp_path: Path, store: Any, lattice: FlowLattice) -> None:
    evil = "<script>alert(1)<"
    path = store(tmp_path / f"{evil}.zarr", lattice.read(Box.of(lattice.extent)))
    result = bigcell.segment(flows=path, block=BLOCK, cluster="serial")
    page = (result.path / "report.html").read_text()
    assert page.count("<script") == 2  # the facts, and our own
    assert "&lt;script&gt;alert(1)&lt;.zarr" in page
    assert evil in facts_in(page).title
