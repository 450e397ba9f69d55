"""`bigcell status`: runs that are under way, stopped, failed or finished, looked at from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import bigcell
from bigcell.cli.app import app
from bigcell.cli.status import lines
from bigcell.core.errors import OutputError
from bigcell.engine.runs.find_run import read_status
from bigcell.engine.runtime.events import StageFinished, StageStarted, TaskDone, TaskFailed, ignore
from bigcell.engine.runtime.status import STATUS_FILE, Status, StatusFile
from bigcell.engine.tasks.stages import STAGES


def call(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(w) for w in words])
    return result.exit_code, result.stdout, result.stderr


def tasks_done(out: Path) -> int:
    """As another process is told; 0 before there is a run."""
    try:
        return read_status(out).done
    except OutputError:
        return 0


def test_a_run_is_watched_from_its_first_task_to_a_kill_and_to_its_end(tmp_path: Path, flow_store: Path) -> None:
    out = tmp_path / "out.zarr"
    code = (
        "import bigcell, sys, time; from bigcell.engine.runtime import status; "
        "from bigcell.testing.disturbed import AtTask; "
        "status.EVERY = 0; wait = AtTask(5, lambda: time.sleep(600)); "
        "bigcell.segment(flows=sys.argv[1], output=sys.argv[2], block=(9, 20, 23), workers=1, listener=wait)"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code, str(flow_store), str(out)], env={**os.environ, "BIGCELL_TASK_PAUSE": "0.1"}
    )
    try:
        while tasks_done(out) < 5:
            assert driver.poll() is None
            time.sleep(0.02)
        code_, said, _ = call("status", out, "--json")
        shown = json.loads(said)
        assert (code_, shown["state"], shown["stage"], shown["total"]) == (0, "running", "follow_flows", 36)
        assert shown["done"] == 5
        assert 0 < shown["rate"] < 10  # a task takes a tenth of a second and more
        assert shown["seconds_left"] == pytest.approx(31 / shown["rate"])
        assert shown["peak_bytes"] > 50e6
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    code_, said, _ = call("status", out)
    assert code_ == 0
    assert f"cells in {out}: stopped" in said
    assert "following flows: " in said
    assert f"bigcell resume {out} --labels cells\n" in said
    result = bigcell.resume(out, cluster="serial")
    code_, said, _ = call("status", out, "--labels", "cells")
    assert code_ == 0
    assert f"cells in {out}: finished" in said
    assert str(result.objects) in said


def test_none_is_one_line(tmp_path: Path) -> None:
    code, out, err = call("status", tmp_path / "nothing.zarr")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "there is no run for labels 'cells'" in err


def test_several_have_to_be_told_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "out.zarr.bigcell" / name).mkdir(parents=True)
        (tmp_path / "out.zarr.bigcell" / name / "plan.json").write_text("{}")
    with pytest.raises(OutputError, match="choose one of one, two with --labels"):
        read_status(tmp_path / "out.zarr")
    assert read_status(tmp_path / "out.zarr", "two").state == "planned"  # or killed before its first word


def test_the_file_says_what_happened(tmp_path: Path) -> None:
    clock = iter(range(0, 1000, 2))
    show = StatusFile(tmp_path, "cells", ignore, now=lambda: float(next(clock)))
    show(StageStarted("follow_flows", 10, 4, 1000))
    show(TaskDone("follow_flows", "4", 100, 1.0, 7))
    show(TaskFailed("follow_flows", "5", ((0, 0, 0), (8, 8, 8)), "KeyError: 3"))
    show(TaskDone("follow_flows", "6", 100, 1.0, 5))
    show(StageFinished("follow_flows", 3.5))
    found = Status(**json.loads((tmp_path / STATUS_FILE).read_text()))
    assert (found.stage, found.done, found.found, found.total, found.voxels) == ("follow_flows", 6, 4, 10, 200)
    assert (found.failed, found.peak_bytes, found.stages) == (1, 7, {"follow_flows": 3.5})
    assert found.rate > 0
    said = "\n".join(text for _, text in lines(found, "x.zarr", now=60.0))
    assert "follow_flows of 5 (0:8, 0:8, 0:8): KeyError: 3" in said
    assert "6 of 10 tasks (4 before)" in said


def test_a_full_disk_does_not_end_a_run_here(tmp_path: Path) -> None:
    show = StatusFile(tmp_path / "gone", "cells", ignore)
    show(StageStarted("follow_flows", 10, 4, 1000))
    show.stop()
    assert not (tmp_path / "gone").exists()


def test_a_damaged_file_is_told_of(tmp_path: Path) -> None:
    work = tmp_path / "out.zarr.bigcell" / "cells"
    work.mkdir(parents=True)
    (work / "plan.json").write_text("{}")
    (work / STATUS_FILE).write_text("{")
    with pytest.raises(OutputError, match="cannot be read"):
        read_status(tmp_path / "out.zarr")


def test_a_run_with_a_poison_block_ends_with_3_and_is_listed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path
) -> None:
    out, step = tmp_path / "out.zarr", STAGES["label_blocks"].run

    def failing(job: Any, item: Any) -> dict[str, Any]:
        if item[0] == 6:
            raise ZeroDivisionError("division by zero")
        return step(job, item)

    words = ("--flows", flow_store, "--output", out, "--block", "18,30,34", "--cluster", "serial")
    with monkeypatch.context() as poisoned:
        poisoned.setitem(STAGES, "label_blocks", STAGES["label_blocks"].running(failing))
        code, said, errors = call("segment", *words)
    assert (code, said) == (3, "")
    last = errors.splitlines()[-1]
    assert "1 of 8 tasks failed" in last
    assert "label_blocks of 6 (18:36, 30:60, 0:34): ZeroDivisionError: division by zero" in last
    assert f"`bigcell resume {out} --labels cells`" in last
    code, said, _ = call("status", out)
    assert code == 0
    assert "naming cells: 7 of 8 tasks" in said
    assert "label_blocks of 6 (18:36, 30:60, 0:34): ZeroDivisionError" in said
    assert call("resume", out, "--cluster", "serial")[0] == 0
