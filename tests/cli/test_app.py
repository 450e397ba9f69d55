"""The command line: what each verb prints, the exit codes, one line for an error, and one run from end to end."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import bigcell.api
from bigcell.cli.app import app, explain
from bigcell.core.errors import BlockError
from bigcell.engine.runtime.events import Listener, RunStarted
from bigcell.io.ngff.image import read_info

VERBS = ["inspect", "convert", "plan", "segment", "view", "status", "resume", "rerun"]


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(w) for w in words])


def refused(*words: object, code: int = 2) -> str:
    """The one line on stderr of a call that must fail with `code`."""
    result = call(*words)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("bigcell: ")
    return lines[0]


def test_help_lists_the_verbs_in_the_order_of_work() -> None:
    for result in (call("--help"), call()):
        assert result.exit_code == 0
        places = [result.stdout.index(f"\n  {verb} ") for verb in VERBS]
        assert places == sorted(places)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    result = call(verb, "--help")
    assert result.exit_code == 0
    assert f"Usage: bigcell {verb}" in result.stdout.replace("root", "bigcell")


def test_version() -> None:
    assert call("--version").stdout.strip() == bigcell.__version__


def test_inspect(flow_store: Path) -> None:
    result = call("inspect", flow_store)
    assert result.exit_code == 0
    assert "4 c x 36 z x 60 y x 68 x" in result.stdout
    assert "0.5 x 0.5 x 0.5 µm" in result.stdout
    assert "level 1" in result.stdout
    assert result.stdout.splitlines()[-1].split() == ["labels", "none"]


def test_plan_is_a_table_or_json(flow_store: Path) -> None:
    assert "36 x 60 x 68 voxels" in call("plan", "--flows", flow_store).stdout
    values = json.loads(call("plan", "--flows", flow_store, "--block", "16,32,32", "--min-size", "3", "--json").stdout)
    assert values["settings"]["block"] == [16, 32, 32]
    assert values["settings"]["sizes"]["min_size"] == 3


def test_segment_then_inspect_resume_rerun(flow_store: Path, tmp_path: Path) -> None:
    """The whole road on flows of eighty cells."""
    out, picture = tmp_path / "out.zarr", tmp_path / "cells.png"
    words = ("--flows", flow_store, "--output", out, "--labels", "nuclei", "--block", "32,64,64")
    result = call("segment", *words, "--workers", 1, "--picture", picture)
    assert result.exit_code == 0, result.stderr
    count = int(result.stdout.split()[0])
    assert count > 40
    assert read_info(out).labels == ("nuclei",)
    assert picture.stat().st_size > 10_000
    again = refused("segment", *words, "--workers", 1)
    assert "exists already" in again
    resumed = call("resume", out, "--labels", "nuclei")
    assert resumed.stdout.startswith(f"{count} objects"), "a finished run gives its result"
    record = out / "labels" / "nuclei" / "record.json"
    rerun = call("rerun", record, "--labels", "again", "--workers", 1)
    assert rerun.exit_code == 0, rerun.stderr
    assert "the labels are the same" in rerun.stdout
    assert f"nuclei: {count} objects" in call("inspect", out).stdout


def test_region_and_level_reach_the_run(flow_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def fake(image: object, **options: Any) -> str:
        seen.update(options)
        return "a plan"

    monkeypatch.setattr(bigcell.api, "plan", fake)
    words = ("plan", flow_store, "--region", "2:8,:,10:", "--channel", "0,1", "--channel", "2", "--diameter", "8.5um")
    assert call(*words).stdout == "a plan\n"
    assert seen["region"].start == (2, 0, 10)
    assert seen["region"].stop == (8, 60, 68)
    assert seen["channels"] == ["0", "1", "2"], "unnamed channels are called by their number"
    assert seen["diameter"] == "8.5um"


def test_wrong_input_is_one_line_and_2(tmp_path: Path, flow_store: Path) -> None:
    assert "does not exist" in refused("inspect", tmp_path / "nothing.zarr")
    assert "wanted whole numbers" in refused("plan", "--flows", flow_store, "--block", "big")
    assert "wanted z0:z1" in refused("plan", "--flows", flow_store, "--region", "3")
    assert "holds no voxel" in refused("plan", "--flows", flow_store, "--region", "8:3,:,:")
    assert "neither an image nor flows" in refused("segment")
    assert "has 2 levels" in refused("plan", flow_store, "--level", "7")
    assert "no unfinished run" in refused("resume", tmp_path / "nothing.zarr")
    assert "is not there" in refused("rerun", tmp_path / "record.json")
    assert "no labels 'x'" in refused("view", flow_store, "--labels", "x")


def test_wrong_usage_is_one_line_and_2(flow_store: Path) -> None:
    assert "--help" in refused("inspect")
    assert "No such option" in refused("segment", flow_store, "--diametre", "3")
    assert "No such command" in refused("cut")


def test_blocks_that_fail_are_3_and_say_how_to_go_on(flow_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, listener: Listener, **__: object) -> None:
        listener(RunStarted("/where/o.zarr", "cells"))
        raise BlockError("follow_flows of 3 failed:\nOSError: gone")

    monkeypatch.setattr(bigcell.api, "segment", fail)
    line = refused("segment", flow_store, "--output", "o.zarr", code=3)
    assert line == (
        "bigcell: follow_flows of 3 failed: OSError: gone; what is finished is kept: go on with `bigcell resume o.zarr "
        "--labels cells`"
    )


@pytest.mark.parametrize("begun", [True, False])
def test_interrupted_is_130(flow_store: Path, monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    def interrupt(*_: object, listener: Listener, **__: object) -> None:
        if begun:
            listener(RunStarted(str(flow_store), "cells"))
        raise KeyboardInterrupt

    monkeypatch.setattr(bigcell.api, "segment", interrupt)
    going_on = f"what is finished is kept: go on with `bigcell resume {flow_store} --labels cells`"
    said = refused("segment", flow_store, code=130)
    assert said == f"bigcell: interrupted; {going_on if begun else 'nothing had begun'}"


def test_a_file_that_ends_too_early_is_no_interruption(flow_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """click takes an EOFError for Ctrl-D."""

    def end(*_: object, **__: object) -> None:
        raise EOFError("compressed file ended")

    monkeypatch.setattr(bigcell.api, "plan", end)
    assert "unexpected EOFError: compressed file ended" in refused("plan", flow_store, code=1)


def test_the_unexpected_is_1_and_debug_shows_where(flow_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(bigcell.api, "plan", crash)
    assert "unexpected ZeroDivisionError: a bug" in refused("plan", flow_store, code=1)
    for words in (("plan", flow_store, "--debug"), ("--debug", "plan", flow_store)):
        result = call(*words)
        assert result.exit_code == 1
        assert "Traceback" in result.stderr
        assert result.stderr.splitlines()[-1].startswith("bigcell: unexpected")


def test_as_a_program(tmp_path: Path) -> None:
    """The entry point in a process of its own; it starts without the heavy libraries."""
    code = "import sys; from bigcell.cli import main; sys.argv = ['bigcell', 'inspect', 'nothing.zarr']; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"bigcell: {tmp_path / 'nothing.zarr'} does not exist; check the path\n"
    heavy = "{'torch', 'zarr', 'neuroglancer', 'dask', 'matplotlib'}"
    code = f"import sys, bigcell.cli.app; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n"


def test_what_a_file_system_refuses_is_told_of_its_path() -> None:
    code, said = explain(PermissionError(errno.EACCES, "Permission denied", "/data/brain.zarr"))
    assert (code, said) == (2, "/data/brain.zarr: Permission denied; give another path, or ask for access to this one")
    assert explain(OSError("a bug"))[0] == 1


def test_a_message_cannot_command_the_terminal(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["inspect", str(tmp_path / "\x1b[31mred\x07.zarr")]).stderr
    assert "\\x1b[31mred\\x07.zarr does not exist" in said
    assert said.strip().isprintable()
