"""`bigcell segment --plan-only`, then `bigcell worker`: what they print, refuse and return."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bigcell.cli.app import app
from bigcell.cli.status import lines
from bigcell.engine.pipeline import failures
from bigcell.engine.runtime.executors import THREAD_VARIABLES
from bigcell.engine.runtime.status import Status
from bigcell.engine.tasks.stages import STAGES


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """A worker is a process of its own: what it sets for itself is taken back."""
    known = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    yield
    for name, value in known.items():
        os.environ.pop(name, None)
        os.environ.update({name: value} if value is not None else {})


def call(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(w) for w in words])
    return result.exit_code, result.stdout, result.stderr


def planned(flows: Path, out: Path, *more: object) -> str:
    """The command that the plan tells of, without its --index and --of."""
    code, said, err = call("segment", "--flows", flows, "--output", out, "--block", "18,30,34", "--plan-only", *more)
    assert code == 0, err
    assert said.startswith("plan     ")
    assert Path(said.splitlines()[0].removeprefix("plan     ")).read_text().startswith("{")
    return said.splitlines()[1].removeprefix("start    bigcell ").partition(" --index")[0]


def test_a_plan_is_done_by_the_command_that_it_tells(tmp_path: Path, flow_store: Path) -> None:
    out = tmp_path / "my labels.zarr"
    words = shlex.split(planned(flow_store, out, "--labels", "two", "--work", tmp_path / "w"))
    assert words == ["worker", str(out), "--labels", "two", "--work", str(tmp_path / "w")]
    assert not out.exists()
    code, said, _ = call("status", out, "--labels", "two", "--work", tmp_path / "w")
    assert code == 0
    assert f"two in {out}: planned" in said
    assert "bigcell worker" in said
    code, said, err = call(*words, "--index", 0, "--of", 2)
    assert code == 0, err
    assert " objects\n" in said
    assert f"labels   {out}/labels/two" in said
    code, again, err = call(*words, "--index", 1, "--of", 2)
    assert (code, again) == (0, said)
    assert err == "there is no unfinished run for labels 'two': those that are there were finished before\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--index", "2", "--of", "2"), "--index 2 of 2: wanted 0 to 1"),
        (("--index", "-1", "--of", "2"), "--index -1 of 2: wanted 0 to 1"),
        (("--index", "0", "--of", "0"), "--of 0: wanted the number of workers"),
        (("--index", "0"), "Missing option '--of'"),
        (("--index", "0", "--of", "2", "--workers", "0"), "0 workers: wanted at least 1"),
        (("--index", "0", "--of", "1", "--labels", "others"), "there is no unfinished run"),
    ],
)
def test_wrong_words_are_one_line(tmp_path: Path, flow_store: Path, words: tuple[str, ...], said: str) -> None:
    planned(flow_store, tmp_path / "out.zarr")
    code, out, err = call("worker", tmp_path / "out.zarr", *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize("words", [("--cluster", "local"), ("--picture", "a.png")])
def test_a_plan_alone_does_no_work(tmp_path: Path, flow_store: Path, words: tuple[str, ...]) -> None:
    code, _, err = call("segment", "--flows", flow_store, "--output", tmp_path / "out.zarr", "--plan-only", *words)
    assert code == 2
    assert "--plan-only does no work" in err
    assert not (tmp_path / "out.zarr.bigcell").exists()


def test_a_block_that_fails_is_exit_code_3(tmp_path: Path, flow_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(job: Any, item: Any) -> dict[str, Any]:
        raise KeyError("poison")

    planned(flow_store, tmp_path / "out.zarr")
    monkeypatch.setattr(failures, "MAX_TASKS_SET_ASIDE", 2)
    monkeypatch.setitem(STAGES, "follow_flows", STAGES["follow_flows"].running(failing))
    code, _, err = call("worker", tmp_path / "out.zarr", "--index", 0, "--of", 1)
    assert code == 3
    assert "start the workers again, as in `bigcell worker " in err


def test_status_counts_workers() -> None:
    counted = {"of": 5, "alive": 2, "ended": 1, "lost": 1}
    said = dict(lines(Status(state="running", labels="cells", workers=counted), "out.zarr", 0.0))
    assert said["workers"] == "2 of 5 at work, 1 ended, 1 lost"
