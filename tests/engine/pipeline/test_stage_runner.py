"""What the loop holds and does for each block, with steps that do nothing."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from bigcell.engine.runtime.events import Event, StageStarted, TaskDone
from bigcell.engine.tasks.job import Job
from bigcell.engine.tasks.stages import STAGES
from bigcell.testing.idle import NOTES, drive_blocks


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Puts steps that do nothing in the place of all; lists what they were asked for."""
    asked: list[str] = []

    def stand_in(stage: str, job: Job, item: Any) -> dict[str, Any]:
        asked.append(f"{stage} {item[0]}")
        return dict(NOTES[stage])

    for stage in NOTES:
        monkeypatch.setitem(
            STAGES, stage, STAGES[stage].running(lambda job, item, stage=stage: stand_in(stage, job, item))
        )
    return asked


def test_the_driver_holds_few_bytes_for_a_block(tmp_path: Path, done: list[str]) -> None:
    def peak(side: int, go: int) -> int:
        done.clear()
        tracemalloc.start()
        drive_blocks(side, tmp_path / f"{side}-{go}")
        high = (
            tracemalloc.get_traced_memory()[1] - sum(map(len, done)) - 57 * len(done)
        )  # not the list of what was asked
        tracemalloc.stop()
        return high

    drive_blocks(5, tmp_path / "first")
    # twice, as Python's own table of names may happen to grow, by megabytes, in one of them
    small, large = (min(peak(side, go) for go in range(2)) for side in (10, 40))
    assert (large - small) / (1600 - 100) < 300


def test_what_has_a_line_is_not_done_again_and_counts_the_same(tmp_path: Path, done: list[str]) -> None:
    first = drive_blocks(6, tmp_path)
    assert len(done) == len(set(done)) == 6 * 36 + 6 + 1
    log = next((tmp_path / "done" / "label_blocks").iterdir())
    lines = log.read_bytes().split(b"\n\n")
    log.write_bytes(b"\n\n".join(lines[:20]) + b'\n\n20 {"pie')  # 16 tasks are lost, one of them half written
    done.clear()
    seen: list[Event] = []
    second = drive_blocks(6, tmp_path, seen.append)
    assert sorted(done) == sorted(f"label_blocks {k}" for k in range(20, 36))
    assert second.sums == first.sums
    assert second.digests == first.digests == b"\xab" * 32
    assert {s: e["tasks"] for s, e in second.stages.items()} == {s: e["tasks"] for s, e in first.stages.items()}
    started = {e.stage: (e.total, e.done, e.voxels) for e in seen if isinstance(e, StageStarted)}
    assert started["label_blocks"] == (36, 20, 36)
    assert started["fill_holes"] == (36, 36, 36)
    assert [int(e.key) for e in seen if isinstance(e, TaskDone)] == list(range(20, 36))
