"""What the journal tells: every task once, at its place and its time."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bigcell.core.axes import Spacing
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import RunSettings
from bigcell.io.scratch import MemoryScratch
from bigcell.provenance.journal import Journal
from bigcell.report import statistics
from bigcell.report.statistics import MOST_KINDS, MOST_SESSIONS, RunStatistics, begin_session, versions_used
from bigcell.report.timeline import SHOWN, join_times

PLAN = Plan((8, 16, 24), Spacing(), ("a",), "uint8", RunSettings(block=(8, 8, 8)))
START = 1_700_000_000.0


def note(at: float, seconds: float = 1.0, **more: object) -> dict[str, object]:
    return {"seconds": seconds, "peak": 100, "at": START + at, **more}


@pytest.fixture
def scratch() -> MemoryScratch:
    """Two drivers: the second began an hour after the first; one task was done by both."""
    held = MemoryScratch()
    journal = Journal(held)
    begin_session(held, START)
    for k in range(4):
        journal.mark("follow_flows", str(k), note(2 * k + 2, 2.0))
    begin_session(held, START + 3600)
    for k in (3, 4, 5):
        journal.mark("follow_flows", str(k), note(3600 + k, 1.0, tries=3))
    journal.mark("exchange_migrants", "1-4", note(3606, 1.0))
    for k in range(6):
        journal.mark("merge_objects", str(k), note(3607, 0.0, objects=9, kept=k))
        journal.mark("filter_by_flow_error", str(k), note(3607, 0.0, unfit=k // 2))
    journal.mark("downsample", "1-0", note(3610, 2.0, peak=700))
    held.append("done/write_labels", b'0 {"seconds": 1, "pea')  # torn
    return held


def test_every_task_counts_once(scratch: MemoryScratch) -> None:
    found = RunStatistics.of(PLAN, scratch)
    follow = found.stages["follow_flows"]
    assert (follow.tasks, follow.work, follow.retries, follow.voxels) == (6, 10.0, 4, PLAN.voxels)
    assert follow.elapsed == 10.0  # 8 s of the first driver, 2 s (3603 to 3605) of the second
    assert found.stages["filter_by_flow_error"].voxels == PLAN.voxels
    assert found.stages["downsample"].peak_bytes == 700
    assert found.stages["downsample"].voxels == 0
    assert "write_labels" not in found.stages
    assert list(found.stages) == [
        "follow_flows",
        "exchange_migrants",
        "merge_objects",
        "filter_by_flow_error",
        "downsample",
    ]


def test_tasks_count_at_their_blocks(scratch: MemoryScratch) -> None:
    blocks = RunStatistics.of(PLAN, scratch).blocks
    assert blocks.seconds[0].tolist() == [[2, 2, 2], [2, 2, 1]]  # block 4 also emptied a mailbox
    assert blocks.retries[0].tolist() == [[0, 0, 0], [0, 2, 2]]
    assert blocks.objects[0].tolist() == [[0, 1, 1], [2, 2, 3]]


def test_pauses_are_cut_out(scratch: MemoryScratch) -> None:
    found = RunStatistics.of(PLAN, scratch)
    times = join_times(found.sessions)
    assert times is not None
    assert times.width * SHOWN == pytest.approx(8 + 10)
    assert [p.seconds for p in times.pauses] == [pytest.approx(3592)]
    rates = {r.stage: r.each for r in times.rates}
    assert sum(rates["follow_flows"]) * times.width == pytest.approx(6, rel=0.05)
    assert max(times.peaks) == 700


def test_a_driver_that_did_nothing_is_no_session(scratch: MemoryScratch) -> None:
    begin_session(scratch, START + 9999)
    assert len(RunStatistics.of(PLAN, scratch).sessions) == 2


def test_many_drivers_that_began_together_are_one() -> None:
    held = MemoryScratch()
    for k in range(4 * MOST_SESSIONS):
        begin_session(held, START + k % 2 * 86400 + k / 10)
    Journal(held).mark("follow_flows", "0", note(86400 + 60.0))
    assert [s.began for s in RunStatistics.of(PLAN, held).sessions] == [START, START + 86400.1]


def test_notes_of_before_times_were_noted(scratch: MemoryScratch) -> None:
    held = MemoryScratch()
    begin_session(held, START)
    Journal(held).mark("follow_flows", "0", {"seconds": 2.0, "peak": 5})
    found = RunStatistics.of(PLAN, held)
    assert (found.stages["follow_flows"].tasks, found.stages["follow_flows"].elapsed) == (1, 0.0)
    assert join_times(found.sessions) is None


def test_tries_that_failed_are_counted_by_kind() -> None:
    held = MemoryScratch()
    for k in range(2 * MOST_KINDS):
        line = {"stage": "predict_flows", "error": "OSError: away" if k % 2 else f"KeyError: {k}"}
        held.append("tried", json.dumps(line).encode())
    held.append("tried", b'{"stage": "pre')  # torn
    tried = RunStatistics.of(PLAN, held).tried
    assert tried["network: OSError: away"] == MOST_KINDS
    assert tried.total() == 2 * MOST_KINDS
    assert len(tried) <= MOST_KINDS + 1


class Lines(MemoryScratch):
    """A journal of every twentieth of 100,000 tasks, which are made as they are read."""

    def lines(self, name: str) -> Iterator[bytes]:
        if name == "drivers":
            yield json.dumps({"at": START}).encode()
        if name == "done/follow_flows":
            for k in range(0, 100_000, 20):
                yield b'%d {"seconds":0.5,"peak":100,"at":%.1f}' % (k, START + k / 100)


def test_a_hundred_thousand_blocks_need_no_more_memory_than_ten() -> None:
    plan = replace(PLAN, extent=(8, 8 * 250, 8 * 400))
    tracemalloc.start()
    found = RunStatistics.of(plan, Lines())
    result = found.blocks.result()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.stages["follow_flows"].tasks == 5_000
    assert result.cells == (1, 250, 200)
    assert result.quantities[0].sum == pytest.approx(5_000 * 0.5 / 2)  # cells of two blocks, a mean of each
    assert peak < 6e6


def test_blocks_that_were_skipped_are_not_gone_over() -> None:
    held = MemoryScratch()
    for k in (1, 4):
        Journal(held).mark("label_blocks", str(k), note(1.0))
    assert RunStatistics.of(PLAN, held).stages["label_blocks"].voxels == 2 * 8**3


def test_drivers_with_other_packages_are_told_and_both_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    scratch, told = MemoryScratch(), list[Any]()
    monkeypatch.setattr(statistics, "versions", lambda: {"torch": "2.10.0", "zarr": "3.1.6"})
    begin_session(scratch, 1.0, told.append)
    assert versions_used(scratch) == {"torch": "2.10.0", "zarr": "3.1.6"}
    begin_session(scratch, 2.0, told.append)
    assert told == []
    monkeypatch.setattr(statistics, "versions", lambda: {"torch": "2.9.1", "zarr": "3.1.6"})
    begin_session(scratch, 1.0, told.append)  # the clock was set back
    assert [event.text for event in told] == ["this run began with other versions: torch 2.10.0, 2.9.1"]
    assert versions_used(scratch) == {"torch": "2.10.0, 2.9.1", "zarr": "3.1.6"}
