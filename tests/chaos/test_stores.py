"""A scheduler that dies, a server that fails one request in twenty, a disk that fills: none of them changes a byte."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import bigcell
from bigcell.core.box import Box
from bigcell.engine.runtime.events import Event, TaskDone
from bigcell.testing.files import tree_of
from bigcell.testing.flows import FlowLattice

pytestmark = pytest.mark.chaos

BLOCK = (18, 30, 23)


def write_flows(folder: Path, store: Callable[..., Path]) -> Path:
    lattice = FlowLattice((36, 60, 68), diameter=13, noise=0.5)
    path = store(folder / "flows.zarr", lattice.read(Box.of(lattice.extent)), levels=2, spacing=0.5)
    return Path(path)


def wait_until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def plain_run(place: Any) -> tuple[Any, int]:
    """The tree of an undisturbed run under the same paths, and how many tasks there are."""
    done = list[Event]()
    bigcell.segment(**place.arguments, output=place.out, workers=2, cluster="serial", listener=done.append)
    plain = tree_of(place.out)
    place.tidy()
    return plain, sum(isinstance(event, TaskDone) for event in done)


def ends(driver: subprocess.Popen[bytes], place: Any) -> tuple[int, str]:
    """How a driver ended, and the last line that it said."""
    code = driver.wait(240)
    return code, ((place.folder / "stderr").read_text().strip().splitlines() or [""])[-1]


@contextmanager
def scheduler(folder: Path, name: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A dask scheduler with two workers, on loopback: its address and its process."""
    file = folder / f"{name}.json"
    words = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with ExitStack() as stack:
        started = [subprocess.Popen([*words, "--no-dashboard", "--scheduler-file", str(file)], **quiet)]
        stack.callback(lambda: [(p.kill(), p.wait()) for p in started])
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads", "1"]
        worker += ["--no-dashboard", "--death-timeout", "5", "--host", "127.0.0.1"]
        started += [
            subprocess.Popen(worker, env={**os.environ, "BIGCELL_TASK_PAUSE": "0.02"}, cwd=folder, **quiet)
            for _ in range(2)
        ]
        wait_until(file.exists)
        yield json.loads(file.read_text())["address"], started[0]
        wait_until(lambda: started[0].poll() is None or all(p.poll() is not None for p in started[1:]))


@pytest.mark.parametrize("seed", range(2))
def test_a_scheduler_is_killed(tmp_path: Path, store: Callable[..., Path], new_place: Any, seed: int) -> None:
    """The driver ends with an error, not never; workers end too; another scheduler finishes the run."""
    place = new_place(tmp_path, {"flows": str(write_flows(tmp_path, store)), "block": BLOCK})
    plain, tasks = plain_run(place)
    with scheduler(tmp_path, "first") as (address, process):
        driver = place.start("segment", cluster=address)
        wait_until(lambda: len(place.told()) >= random.Random(seed).randrange(tasks - 10))
        process.send_signal(signal.SIGKILL)
        code, said = ends(driver, place)
        assert code == 1
        assert "BlockError: the dask scheduler is gone" in said
    before = place.journal()
    told = len(place.told())
    with scheduler(tmp_path, "second") as (address, _):
        assert ends(place.start("resume", cluster=address), place)[0] == 0
        assert not set(place.told()[told:]) & before
        assert tree_of(place.out) == plain


class Shaky(SimpleHTTPRequestHandler):
    """Serves files, but one request in twenty gets an error, and one in twenty is cut off."""

    chance = random.Random(0)
    share = 0.0
    failures = 0

    def do_GET(self) -> None:
        if not self.path.endswith(".json") and self.chance.random() < self.share:
            type(self).failures += 1
            if self.chance.random() < 0.5:
                self.send_error(503)
            else:
                self.close_connection = True
                self.connection.close()
            return
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the screen."""


class Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that we cut are no news."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of `tmp_path` on a server."""
    served = Server(("127.0.0.1", 0), partial(Shaky, directory=str(tmp_path)))
    thread = Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.mark.parametrize("seed", range(3))
def test_a_server_fails_one_request_in_twenty(
    tmp_path: Path, store: Callable[..., Path], new_place: Any, server: str, seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write_flows(tmp_path, store)
    place = new_place(tmp_path, {"flows": f"{server}/flows.zarr", "block": BLOCK})
    plain, _ = plain_run(place)
    monkeypatch.setattr(Shaky, "share", 0.05)
    monkeypatch.setattr(Shaky, "failures", 0)
    monkeypatch.setattr(Shaky, "chance", random.Random(seed))
    code, said = ends(place.start("segment", cluster="processes"), place)
    assert code == 0, said
    assert Shaky.failures > 0
    assert tree_of(place.out) == plain


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("a file system cannot be mounted here (root is needed)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(ballast: Path) -> None:
    """Leave no byte free."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            return


@pytest.mark.parametrize("seed", range(4))
def test_a_disk_fills_at_some_moment(
    tmp_path: Path, small_disk: Path, store: Callable[..., Path], new_place: Any, seed: int
) -> None:
    """A clean stop that says so; with room again the run goes on, and nothing is repeated."""
    place = new_place(small_disk, {"flows": str(write_flows(tmp_path, store)), "block": BLOCK})
    plain, tasks = plain_run(place)
    for name in ("log", "stderr"):  # what the driver tells needs room as well
        (small_disk / name).symlink_to(tmp_path / name)
    driver = place.start("segment", cluster=("serial", "processes")[seed // 2])
    wait_until(lambda: len(place.told()) >= random.Random(seed).randrange(tasks - 5))
    fill(small_disk / "ballast")
    code, said = ends(driver, place)
    (small_disk / "ballast").unlink()
    assert code == 1
    assert "OutputError" in said
    assert "No space left" in said
    before, told = place.journal(), len(place.told())
    code, said = ends(place.start("resume", cluster="serial"), place)
    assert code == 0, said
    assert not set(place.told()[told:]) & before
    assert tree_of(place.out) == plain
