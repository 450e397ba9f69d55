"""Another account of the same machine, while a run stands still: it reaches nothing, runs nothing, reads no scratch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from bigcell.core.box import Box
from bigcell.testing.flows import FlowLattice

HERE = Path(__file__).parent / "accounts"
TOKEN = "/v/"

pytestmark = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can take the place of another account"
)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every account can look into, as in a shared file system; pytest's own are private."""
    folder = Path(tempfile.mkdtemp(prefix="two-accounts-"))
    try:
        folder.chmod(0o755)
        for name, mode in (("plant", 0o777), ("tmp", 0o1777)):
            (folder / name).mkdir()
            (folder / name).chmod(mode)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def standing(place: Path, *command: str) -> Iterator[tuple[psutil.Process, str]]:
    """The process of a run of ours that has got to where it stands still, and the line that it said then."""
    environment = {**os.environ, "TMPDIR": str(place / "tmp"), "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        umask=0o022,
    )
    assert run.stdin is not None
    assert run.stdout is not None
    try:
        said = next((line for line in run.stdout if "standing" in line or TOKEN in line), "")
        assert said, "it did not get there"
        yield psutil.Process(run.pid), said
    finally:
        for process in psutil.Process(run.pid).children(recursive=True):
            process.kill()
        run.kill()
        run.communicate()


def family(run: psutil.Process) -> list[psutil.Process]:
    return [run, *run.children(recursive=True)]


def ports(run: psutil.Process) -> list[int]:
    """What the processes of a run listen at; nothing but loopback."""
    found = [c for p in family(run) for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert {c.laddr.ip for c in found} <= {"127.0.0.1"}
    return [c.laddr.port for c in found]


def named_sockets(run: psutil.Process) -> set[str]:
    """Names of the Unix sockets that they hold."""
    return {c.laddr for p in family(run) for c in p.net_connections("unix") if c.laddr}


def files(place: Path, run: psutil.Process) -> list[Path]:
    """All that lies where the run writes, what its processes have open, and what the system tells of them."""
    held = {Path(f.path) for p in family(run) for f in p.open_files()}
    told = {Path(f"/proc/{p.pid}/{name}") for p in family(run) for name in ("environ", "cmdline", "mem", "maps")}
    return sorted({p for p in place.rglob("*") if p.is_file()} | held | told)


def stranger(place: Path, run: psutil.Process) -> dict[str, Any]:
    """What another account gets."""
    (place / "practice").mkdir()
    order = {"ports": ports(run), "files": list(map(str, files(place, run))), "plant": str(place / "plant")}
    environment = {**os.environ, "STRANGER_PRACTICE": str(place / "practice")}
    done = subprocess.run(
        [sys.executable, str(HERE / "stranger.py"), json.dumps(order)],
        capture_output=True, text=True, env=environment, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [p.name[-3:] for p in (place / "practice").iterdir()] == ["tcp"], "it knows how"
    got: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return got


def assert_private(place: Path, got: dict[str, Any]) -> None:
    """No code ran; of what can be read nothing is scratch, and nothing holds a key or what a viewer's address holds."""
    assert not list((place / "plant").iterdir())
    read = [Path(name) for name in got["read"]]
    assert not [p for p in read if p.is_relative_to(place / "out.zarr.bigcell") or p.is_relative_to(place / "tmp")]
    assert {p.name for p in read if p.parts[1] == "proc"} <= {"cmdline"}
    assert read, "it can read what is not private, so it does try"
    for path in read:
        assert b"PRIVATE KEY" not in path.read_bytes()


def segment(place: Path, lattice: FlowLattice, store: Any, cluster: str, **more: Any) -> list[str]:
    flows = store(place / "flows.zarr", lattice.read(Box.of(lattice.extent)))
    order = {"flows": str(flows), "output": str(place / "out.zarr"), "diameter": 13, "block": [18, 32, 32]}
    return [str(HERE / "held.py"), json.dumps({**order, "cluster": cluster, "workers": 2, **more})]


def test_a_run_on_dask(place: Path, lattice: FlowLattice, store: Any) -> None:
    command = segment(place, lattice, store, "local", performance_report=str(place / "dask.html"))
    with standing(place, *command) as (run, _):
        assert len(ports(run)) == 5, "a scheduler, two workers and their nannies"
        assert not named_sockets(run)
        got = stranger(place, run)
        assert list((place / "out.zarr.bigcell").rglob("*.json")), "there is scratch"
        assert set(got["answers"].values()) == {""}
        assert set(got["pages"].values()) == {""}
        assert_private(place, got)


@pytest.mark.chaos
def test_a_run_in_processes(place: Path, lattice: FlowLattice, store: Any) -> None:
    with standing(place, *segment(place, lattice, store, "processes")) as (run, _):
        assert len(family(run)) > 2
        assert not ports(run)
        assert not named_sockets(run)
        assert_private(place, stranger(place, run))


@pytest.mark.chaos
def test_a_view(place: Path, store: Any) -> None:
    image = store(place / "image.zarr", np.zeros((4, 8, 8), np.uint8), axes="zyx")
    with standing(place, "-m", "bigcell", "view", str(image)) as (run, said):
        assert len(ports(run)) == 2, "the page and the data"
        got = stranger(place, run)
        assert set(got["answers"].values()) == {""}
        assert {page.split()[1] for page in got["pages"].values()} == {"404"}
        token = said.partition(TOKEN)[2].strip("/ \n")
        assert len(token) > 30
        assert token not in json.dumps(got)
        assert_private(place, got)
        for path in map(Path, got["read"]):
            assert token.encode() not in path.read_bytes()
