"""The command line told to end, as real processes: one line that is true, the exit code, and nothing else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

import bigcell
from bigcell.cli.ending import Ending
from bigcell.engine.runs.find_run import read_status
from bigcell.testing.files import files_of

SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
BLOCKS = ("--block", "9,20,23", "--workers", "2")
PROGRESS = re.compile(r"[a-z ]+: \d+ of \d+.*")
# A program whose moment is chosen: it stops at a hook, says so in a file, and goes on when the signal has come.
AT_IMPORT = """
import sys, time
marker, module = sys.argv[1:3]
del sys.argv[1:3]
class Hook:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            open(marker, "w").close()
            time.sleep(300)
sys.meta_path.insert(0, Hook())
"""
PROGRAM = "sys.argv[0] = 'bigcell'; from bigcell.cli import main; main()"


@contextmanager
def program(*words: object, first: str = "import sys;", out: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """`bigcell` with these words in a process group of its own, with all signals as a terminal gives them."""

    def usual() -> None:
        for name in SIGNALS:
            signal.signal(getattr(signal, name), signal.SIG_DFL)

    with subprocess.Popen(
        [sys.executable, "-c", f"{first}\n{PROGRAM}", *map(str, words)],
        env={**os.environ, "BIGCELL_TASK_PAUSE": "0.05", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=usual,
    ) as running:  # fmt: skip
        try:
            yield running
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)


def until(true: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    """Wait for a moment of the program; as long as the test may take."""
    while not true():
        assert running.poll() is None, running.communicate()
        time.sleep(0.01)


def said(running: subprocess.Popen[str]) -> list[str]:
    """All that it said on stderr, but for how far it was."""
    return [line for line in running.communicate()[1].splitlines() if not PROGRESS.fullmatch(line)]


def done(out: Path) -> int:
    """Tasks that are done, as another terminal is told."""
    try:
        return read_status(out).done
    except bigcell.BigcellError:
        return 0


@pytest.mark.parametrize(("name", "module"), [("SIGINT", "numba"), ("SIGTERM", "bigcell.cli.app"), ("SIGHUP", "zarr")])
def test_during_the_imports_nothing_had_begun(tmp_path: Path, flow_store: Path, name: str, module: str) -> None:
    out, there = tmp_path / "o.zarr", tmp_path / "there"
    with program(there, module, "segment", "--flows", flow_store, "--output", out, first=AT_IMPORT) as running:
        until(there.exists, running)
        running.send_signal(getattr(signal, name))
        (line,) = said(running)
    assert re.fullmatch(r"bigcell: (interrupted|ended by SIG\w+); nothing had begun", line)
    assert running.returncode == SIGNALS[name]
    assert not out.with_name("o.zarr.bigcell").exists()


@pytest.mark.parametrize(
    ("name", "cluster"),
    [
        ("SIGINT", "processes"),
        ("SIGTERM", "local"),
        pytest.param("SIGTERM", "serial", marks=pytest.mark.chaos),
        pytest.param("SIGTERM", "processes", marks=pytest.mark.chaos),
        pytest.param("SIGHUP", "processes", marks=pytest.mark.chaos),
        pytest.param("SIGINT", "local", marks=pytest.mark.chaos),
    ],
)
def test_a_run_says_how_to_go_on_and_goes_on(tmp_path: Path, flow_store: Path, name: str, cluster: str) -> None:
    """All processes of the group get the signal, as from a terminal; none of them is left."""
    out, work = tmp_path / "o.zarr", tmp_path / "w k"
    words = ("segment", "--flows", flow_store, "--output", out, *BLOCKS, "--cluster", cluster, "--labels", "two")
    with program(*words) as running:
        until(lambda: done(out) >= 3, running)
        workers = psutil.Process(running.pid).children(recursive=True)
        os.killpg(running.pid, getattr(signal, name))
        lines = said(running)
    how = "interrupted" if name == "SIGINT" else f"ended by {name}"
    command = f"bigcell resume {out} --labels two"
    assert lines == [f"bigcell: {how}; what is finished is kept: go on with `{command}`"]
    assert running.returncode == SIGNALS[name]
    assert psutil.wait_procs(workers, timeout=120)[1] == []
    assert read_status(out).state == "stopped"
    plain = bigcell.segment(flows=flow_store, output=tmp_path / "plain.zarr", labels="two", cluster="serial")
    assert files_of(bigcell.resume(out, cluster="serial").path) == files_of(plain.path)
    assert not work.exists()


# What `sys.argv[1]` names hangs, and does not let itself be broken off.
STUCK = """
import importlib, sys, time
from bigcell.cli import ending
place, name, marker, ending.GRACE = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
del sys.argv[1:5]
def stuck(*args, **options):
    open(marker, "w").close()
    while True:
        try:
            time.sleep(300)
        except KeyboardInterrupt:
            open(marker + "2", "w").close()
vars(importlib.import_module(place))[name] = stuck
"""


@pytest.mark.parametrize("grace", [0.2, 300.0])
def test_what_does_not_end_is_ended(tmp_path: Path, flow_store: Path, grace: float) -> None:
    """After the grace time, or by a second signal."""
    out, there = tmp_path / "o.zarr", tmp_path / "there"
    words = ("segment", "--flows", flow_store, "--output", out, "--workers", "1", "--work", tmp_path / "w k")
    with program("bigcell.engine.pipeline.failures", "perform", there, grace, *words, first=STUCK) as running:
        until(there.exists, running)
        running.send_signal(signal.SIGTERM)
        if grace > 1:
            until((tmp_path / "there2").exists, running)
            running.send_signal(signal.SIGINT)
        lines = said(running)
    command = f"`bigcell resume {out} --labels cells --work '{tmp_path / 'w k'}'`"
    assert lines == [f"bigcell: ended by SIGTERM; what is finished is kept: go on with {command}"]
    assert running.returncode == 143


def test_the_signal_that_came_first_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever thread comes to it."""
    ending, said = Ending(), list[int]()
    monkeypatch.setattr(ending, "end", said.append)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT):
        with ending.keeping(lambda: "left"), pytest.raises(KeyboardInterrupt):
            ending._hear(number, None)
    assert said == [signal.SIGTERM]


VERBS = {
    "convert": ("bigcell.api", "convert", ("a.tif", "a.zarr"), "a.zarr is as it was; convert again"),
    "evaluate": ("bigcell.api", "evaluate", ("{flows}", "{flows}"), "nothing was written; evaluate again"),
    "train": ("bigcell.training.train", "train", ("a", "--out", "b"), "nothing was saved yet: begin again"),
    "worker": (
        "bigcell.api", "worker", ("a b", "--index", "0", "--of", "2"),
        "others go on with what this worker leaves; to have it back: `bigcell worker 'a b' --index 0 --of 2`",
    ),
    "synthetic": (
        "bigcell.synthetic", "sample_volume", ("a.zarr", "--extent", "1,32,32"),
        "a.zarr is as it was, or without labels: make it again with --overwrite",
    ),
    "view": ("bigcell.viewers.neuroglancer", "view", ("a",), "nothing had begun"),
    "plan": ("bigcell.api", "plan", ("a",), "nothing had begun"),
}  # fmt: skip


@pytest.mark.parametrize(
    "verb", [v if v in ("convert", "worker", "train") else pytest.param(v, marks=pytest.mark.chaos) for v in VERBS]
)
def test_every_long_verb_ends_so(tmp_path: Path, write_labels: Callable[..., Path], verb: str) -> None:
    place, name, words, left = VERBS[verb]
    labels = write_labels(tmp_path / "l.zarr", np.ones((1, 8, 8), np.uint8))
    given = (word.format(flows=labels) for word in words)
    there = tmp_path / "there"
    with program(place, name, there, 300, verb, *given, first=STUCK) as running:
        until(there.exists, running)
        running.send_signal(signal.SIGTERM)
        if left != "nothing had begun":
            until(Path(f"{there}2").exists, running)
            running.send_signal(signal.SIGTERM)
        assert said(running) == [f"bigcell: ended by SIGTERM; {left}"]
    assert running.returncode == 143


@pytest.mark.chaos
@pytest.mark.parametrize("step", range(60))
def test_at_any_moment_of_the_first_seconds(tmp_path: Path, flow_store: Path, step: int) -> None:
    """Python's own start, a few hundredths of a second, is beyond us: silence, or its own word, is allowed there."""
    name, out = list(SIGNALS)[step % 3], tmp_path / "o.zarr"
    with program("segment", "--flows", flow_store, "--output", out, *BLOCKS, "--cluster", "processes") as running:
        time.sleep(step * 0.08)
        os.killpg(running.pid, getattr(signal, name))
        lines = said(running)
    if step * 0.08 > 0.4 or running.returncode == SIGNALS[name]:
        assert running.returncode == SIGNALS[name]
        (line,) = lines
        assert ("go on with" in line) == (tmp_path / "o.zarr.bigcell/cells/plan.json").exists()


def test_what_is_to_be_ignored_stays_ignored(tmp_path: Path) -> None:
    """As nohup says it."""
    code = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from bigcell.cli.ending import ENDING; ENDING.arm(); os.kill(os.getpid(), signal.SIGHUP); print('on')"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "on\n"
