"""Runs that are killed at random moments, each taken up again to its end, and what may differ afterwards: nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bigcell.engine.tasks.stages import STAGES
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

    def start(self, verb: str, kills: Sequence[tuple[int, str]] = (), **options: Any) -> subprocess.Popen[bytes]:
        """A driver of its own process group, disturbed by `kills` (see drive.py). A task takes a moment at least."""
        given = self.arguments if verb == "segment" else {}
        arguments = {**given, "output": str(self.out), "workers": 2, **options}
        with (self.folder / "stderr").open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, str(DRIVER), str(self.folder / "log"), verb, json.dumps(arguments), json.dumps(kills)],
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
            found |= {f"{stage} {key}" for stage in STAGES for key in journal.finished(stage)}
        return found

    def tidy(self) -> None:
        """Take away everything but the inputs."""
        for path in (self.out, self.work.parent, self.folder / "kept.zarr"):
            shutil.rmtree(path, ignore_errors=True)
        for name in ("log", "log.kills", "stderr"):
            (self.folder / name).unlink(missing_ok=True)


WAYS = ("both", "driver", "worker")


def disturb(place: Place, seed: int, tasks: int, *, cluster: str, kills: int) -> Story:
    """The run of `place` to its end, `kills` kills on the way: after random tasks of `tasks`, in random ways."""
    chance = random.Random(seed)
    due = [(moment, chance.choice(WAYS)) for moment in sorted(chance.sample(range(1, tasks - 5), kills))]
    story = Story()
    for _ in range(STARTS):
        before, told = place.journal(), len(place.told())
        verb = "resume" if (place.work / "plan.json").exists() else "segment"
        code = place.start(verb, due[len(story.kills) :], cluster=cluster).wait(PATIENCE)
        story.tasks.append(place.told()[told:])
        story.repeated += sorted(set(story.tasks[-1]) & before)
        story.repeated += [task for task, count in Counter(story.tasks[-1]).items() if count > 1]
        story.kills = (place.folder / "log.kills").read_text().splitlines()
        if code == 0:
            assert len(story.kills) == kills, f"seed {seed}: ended before the kills {due}: {story.kills}"
            return story
        errors = (place.folder / "stderr").read_text()
        assert code == -signal.SIGKILL, f"seed {seed}, {story.kills}: {errors[-3000:]}"
    raise AssertionError(f"seed {seed}: not finished after {STARTS} drivers, {story.kills}")


@pytest.fixture
def new_place() -> type[Place]:
    return Place


@pytest.fixture
def disturbed() -> Callable[..., Story]:
    return disturb
