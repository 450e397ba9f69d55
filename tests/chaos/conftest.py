"""Runs that are killed at random moments, each taken up again to its end, and what may differ afterwards: nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from bigcell.engine.steps import STEPS
from bigcell.io.scratch import DiskScratch
from bigcell.provenance.journal import Journal

DRIVER = Path(__file__).with_name("drive.py")
PATIENCE = 240.0
"""Seconds after which a run that does not move is a failure."""
STARTS = 30
"""Drivers that one run may need."""


@dataclass
class Story:
    """What happened to one run. `tasks`: finished tasks as each driver told them; `repeated`: those done before."""

    tasks: list[list[str]] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    kills: list[str] = field(default_factory=list)

    @property
    def finished(self) -> int:
        return sum(map(len, self.tasks))


@dataclass(frozen=True)
class Place:
    """A folder in which the same run is made again and again under the same paths, so that records are comparable."""

    folder: Path
    arguments: dict[str, Any]

    @property
    def out(self) -> Path:
        return self.folder / "out.zarr"

    @property
    def work(self) -> Path:
        return self.folder / "out.zarr.bigcell" / "cells"

    def start(self, verb: str, **options: Any) -> subprocess.Popen[bytes]:
        """A driver of its own process group. A task takes at least as long as BIGCELL_TASK_PAUSE says."""
        given = self.arguments if verb == "segment" else {}
        arguments = {**given, "output": str(self.out), "workers": 2, **options}
        with (self.folder / "stderr").open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, str(DRIVER), str(self.folder / "log"), verb, json.dumps(arguments)],
                env={**os.environ, "BIGCELL_TASK_PAUSE": "0.02", "OMP_NUM_THREADS": "1"},
                stderr=errors,
                start_new_session=True,
            )

    def told(self) -> list[str]:
        """Finished tasks so far, of all drivers."""
        log = self.folder / "log"
        return [line for line in log.read_text().splitlines() if line] if log.exists() else []

    def journal(self) -> set[str]:
        """What the journal says is finished."""
        found = set()
        for scratch in self.work.glob("scratch/*"):
            journal = Journal(DiskScratch(scratch))
            found |= {f"{stage} {key}" for stage in STEPS for key in journal.finished(stage)}
        return found

    def tidy(self) -> None:
        """Take away everything but the inputs."""
        for path in (self.out, self.work.parent, self.folder / "kept.zarr"):
            shutil.rmtree(path, ignore_errors=True)
        for name in ("log", "stderr"):
            (self.folder / name).unlink(missing_ok=True)


def tree(out: Path) -> dict[str, bytes]:
    """Every file under `out` but the report. Of the record, which also is in the labels' attributes, all but `stages`.

    `stages` holds seconds, the tasks that the last driver did, and the most memory of a process: they are of the day,
    and so is what the report tells.
    """
    files = (p for p in sorted(out.rglob("*")) if p.is_file() and p.name != "report.html")
    return {str(p.relative_to(out)): _content(p) for p in files}


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.name not in ("record.json", "zarr.json", ".zattrs"):
        return content
    values = json.loads(content)
    attributes = values.get("attributes", values) if path.name != "record.json" else {"bigcell": values}
    record = attributes.get("bigcell")
    if record is None or "stages" not in record:
        return content
    del record["stages"]
    return json.dumps(values, sort_keys=True).encode()


def workers_of(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes that work for a driver."""
    try:
        children = psutil.Process(driver.pid).children(recursive=True)
        return [c for c in children if "spawn_main" in " ".join(c.cmdline())]
    except psutil.NoSuchProcess:
        return []


def kill_driver(driver: subprocess.Popen[bytes], _: random.Random) -> None:
    """The workers are left alone in the world."""
    driver.send_signal(signal.SIGKILL)


def kill_worker(driver: subprocess.Popen[bytes], chance: random.Random) -> None:
    """One worker, at work or not; the driver is to go on."""
    workers = workers_of(driver)
    if workers:
        _kill(chance.choice(workers))


def kill_both(driver: subprocess.Popen[bytes], _: random.Random) -> None:
    """The power fails."""
    workers = workers_of(driver)
    driver.send_signal(signal.SIGKILL)
    for worker in workers:
        _kill(worker)


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


WAYS = {"driver": kill_driver, "worker": kill_worker, "both": kill_both}


def disturb(place: Place, seed: int, tasks: int, *, cluster: str, kills: int) -> Story:
    """The run of `place` to its end, `kills` kills on the way: after random tasks of `tasks`, in random ways."""
    chance = random.Random(seed)
    due = sorted(chance.sample(range(tasks), kills))
    story = Story()
    for _ in range(STARTS):
        before, told = place.journal(), len(place.told())
        driver = place.start("resume" if (place.work / "plan.json").exists() else "segment", cluster=cluster)
        while due and _wait_for(place, driver, due[0]):
            time.sleep(chance.random() * 0.05)
            way = chance.choice(sorted(WAYS))
            WAYS[way](driver, chance)
            story.kills.append(f"{way} after {due.pop(0)}")
            if way != "worker":
                break
        driver.wait(PATIENCE)
        story.tasks.append(place.told()[told:])
        story.repeated += sorted(set(story.tasks[-1]) & before)
        story.repeated += [task for task, count in Counter(story.tasks[-1]).items() if count > 1]
        if driver.returncode == 0:
            return story
        errors = (place.folder / "stderr").read_text()
        assert driver.returncode == -signal.SIGKILL, f"seed {seed}, {story.kills}: {errors[-3000:]}"
    raise AssertionError(f"seed {seed}: not finished after {STARTS} drivers, {story.kills}")


def _wait_for(place: Place, driver: subprocess.Popen[bytes], tasks: int) -> bool:
    """Whether the run came so far before its driver ended."""
    deadline = time.monotonic() + PATIENCE
    while driver.poll() is None:
        if len(place.told()) >= tasks:
            return True
        assert time.monotonic() < deadline, f"{len(place.told())} tasks in {PATIENCE} s, waiting for {tasks}"
        time.sleep(0.01)
    return False


@pytest.fixture
def new_place() -> type[Place]:
    return Place


@pytest.fixture
def disturbed() -> Callable[..., Story]:
    return disturb


@pytest.fixture
def tree_of() -> Callable[[Path], dict[str, bytes]]:
    return tree
