"""What the loop holds and does for each block, with steps that do nothing."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigcell.core.volume import ArrayVolume
from bigcell.engine import steps
from bigcell.engine.events import Event, StageStarted, TaskDone
from bigcell.engine.job import Job
from bigcell.engine.memory import MemoryLabels
from bigcell.engine.request import Request, make_plan
from bigcell.engine.run import Run, segment_volume
from bigcell.io.scratch import DiskScratch

NOTES: dict[str, dict[str, Any]] = {
    "follow": {"foreground": 1, "escaped": 0, "reach": 1, "to": []},
    "sinks": {"ends": 1},
    "name": {"pieces": 1, "lost": 0},
    "reduce": {"objects": 1, "kept": 1},
    "check": {"unfit": 0, "unchecked": 0},
    "fill": {"filled": 0, "unfilled": 0, "patches": []},
    "number": {"count": 1, "small": 0},
    "apply": {"labelled": 1, "sha256": "ab" * 32},
}


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Puts steps that do nothing in the place of all; lists what they were asked for."""
    asked: list[str] = []

    def stand_in(stage: str, job: Job, item: Any) -> dict[str, Any]:
        asked.append(f"{stage} {item[0]}")
        return dict(NOTES[stage])

    for stage in NOTES:
        monkeypatch.setitem(steps.STEPS, stage, lambda job, item, stage=stage: stand_in(stage, job, item))
    return asked


def drive(side: int, folder: Path, seen: list[Event] | None = None) -> Run:
    """A run over `side` x `side` blocks of one voxel."""
    flows = ArrayVolume(np.zeros((4, 1, side, side), np.float32))
    plan = make_plan(Request(block=(1, 1, 1)), None, flows)
    run = Run(Job(plan, None, flows, DiskScratch(folder)), listener=(lambda e: None) if seen is None else seen.append)
    segment_volume(run, lambda count: MemoryLabels(np.zeros((1, side, side), np.uint32)))
    return run


def test_the_driver_holds_few_bytes_for_a_block(tmp_path: Path, done: list[str]) -> None:
    def peak(side: int) -> int:
        done.clear()
        tracemalloc.start()
        drive(side, tmp_path / str(side))
        high = (
            tracemalloc.get_traced_memory()[1] - sum(map(len, done)) - 57 * len(done)
        )  # not the list of what was asked
        tracemalloc.stop()
        return high

    drive(5, tmp_path / "first")
    small, large = peak(10), peak(40)
    assert (large - small) / (1600 - 100) < 300


def test_what_has_a_line_is_not_done_again_and_counts_the_same(tmp_path: Path, done: list[str]) -> None:
    first = drive(6, tmp_path)
    assert len(done) == len(set(done)) == 6 * 36 + 6 + 1
    log = next((tmp_path / "done" / "name").iterdir())
    lines = log.read_bytes().split(b"\n\n")
    log.write_bytes(b"\n\n".join(lines[:20]) + b'\n\n20 {"pie')  # 16 tasks are lost, one of them half written
    done.clear()
    seen: list[Event] = []
    second = drive(6, tmp_path, seen)
    assert sorted(done) == sorted(f"name {k}" for k in range(20, 36))
    assert second.sums == first.sums
    assert second.digests == first.digests == b"\xab" * 32
    assert {s: e["tasks"] for s, e in second.stages.items()} == {s: e["tasks"] for s, e in first.stages.items()}
    started = {e.stage: (e.total, e.done, e.voxels) for e in seen if isinstance(e, StageStarted)}
    assert started["name"] == (36, 20, 36)
    assert started["fill"] == (36, 36, 36)
    assert [int(e.key) for e in seen if isinstance(e, TaskDone)] == list(range(20, 36))
