"""Commands that are printed for copying name everything they need, and a shell reads each path as one word."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from bigcell.cli.progress import resumable, tell
from bigcell.cli.status import lines
from bigcell.cli.view import tunnel
from bigcell.cli.worker import tell_plan
from bigcell.core.errors import BlockError, InputError
from bigcell.core.format import command
from bigcell.engine.pipeline.stage_runner import Result
from bigcell.engine.runtime.events import RunStarted
from bigcell.engine.runtime.status import Status
from bigcell.io.stores.location import open_group

HOSTILE = "/data/a $(touch x) 'b' `c`; d.zarr"
WORK = "/work place/$(touch y)"
NAME = "nuclei (new)"

Hint = Callable[[pytest.CaptureFixture[str], Path], str]


def after_a_run(capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    tell(Result(3, path=Path(f"{HOSTILE}/labels/{NAME}"), counts={}, stages={}))
    return _line(capsys.readouterr().out, "look ")


def after_a_failure(capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    with pytest.raises(BlockError) as error, resumable(HOSTILE, NAME, WORK) as show:  # noqa: PT012
        show(RunStarted(HOSTILE, NAME))
        raise BlockError("it failed")
    return str(error.value).split("go on with `", 1)[1][:-1]


def after_a_plan(capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    tell_plan(Path("plan.json"), HOSTILE, NAME, WORK)
    return _line(capsys.readouterr().out, "start ")


def of_a_planned_run(capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    return dict(lines(Status(state="planned", labels=NAME), HOSTILE, 0.0, WORK))["start"]


def of_a_stopped_run(capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    return dict(lines(Status(state="stopped", labels=NAME), HOSTILE, 0.0, WORK))["go on"]


HINTS = [after_a_run, after_a_failure, after_a_plan, of_a_planned_run, of_a_stopped_run]


@pytest.mark.parametrize("hint", HINTS, ids=lambda h: h.__name__)
def test_a_path_is_one_word_and_the_labels_are_named(
    hint: Hint, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = shlex.split(hint(capsys, tmp_path))
    assert words[0] == "bigcell"
    assert words[2] == HOSTILE
    assert words[words.index("--labels") + 1] == NAME
    assert hint is after_a_run or words[words.index("--work") + 1] == WORK


def test_what_is_no_zarr_is_to_be_converted_by_a_command_that_can_be_copied(tmp_path: Path) -> None:
    file = tmp_path / "a $(touch x) b.tif"
    file.touch()
    with pytest.raises(InputError) as refused:
        open_group(str(file))
    words = shlex.split(str(refused.value).split("`")[1])
    assert words == ["bigcell", "convert", str(file), str(file.with_suffix(".zarr"))]


def test_no_place_is_taken_for_an_option() -> None:
    assert shlex.split(command("resume", "-rf", work=None)) == ["bigcell", "resume", "./-rf"]


def test_a_tunnel_is_a_command_of_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "$(touch x)")
    assert shlex.split(tunnel((1, 2)))[-1].startswith("$(touch x)@")


def _line(said: str, begin: str) -> str:
    return next(line.removeprefix(begin).strip() for line in said.splitlines() if line.startswith(begin))
