"""Time in bins: nothing is lost when they double, pauses are cut out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigcell.report.timeline import BINS, BUSY, SHOWN, Session, Timeline, join_times

SPANS = st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e4), st.floats(0, 100)), min_size=1, max_size=30)


@given(SPANS)
def test_amounts_are_kept_however_often_the_bins_double(spans: list[tuple[float, float, float]]) -> None:
    line = Timeline()
    for start, long, amount in spans:
        line.add("follow_flows", start, start + long, amount)
    end = max(start + long for start, long, _ in spans)
    assert line.stop == end
    assert line.width * BINS > end
    whole = line.upto("follow_flows", [line.width * BINS])[0]
    assert whole == pytest.approx(sum(amount for *_, amount in spans), abs=1e-6)
    half = line.upto("follow_flows", [end / 2])[0]
    plain = sum(a * np.clip((end / 2 - s) / long, 0, 1) if long else a * (s <= end / 2) for s, long, a in spans)
    assert half == pytest.approx(plain, abs=sum(a for *_, a in spans) * 1e-6 + _in_one_bin(line, spans, end / 2))


def _in_one_bin(line: Timeline, spans: list[tuple[float, float, float]], at: float) -> float:
    """What may stand on the wrong side of a time, since a bin does not know where in it something was."""
    first = np.floor(at / line.width) * line.width
    touching = [a for s, long, a in spans if s < first + line.width and s + long >= first]
    return float(sum(touching))


def test_tasks_that_began_before_the_driver_count_from_its_start() -> None:
    line = Timeline()
    line.add("predict_flows", -30.0, 10.0, 1.0)
    assert line.upto("predict_flows", [5.0, 10.2])[0] == pytest.approx(0.5, abs=0.01)


def test_the_highest_mark_is_kept_when_bins_double() -> None:
    line = Timeline()
    line.mark(0.05, 7)
    line.mark(1.0, 3)
    line.mark(10_000.0, 5)
    assert line.peak(0, 100) == 7
    assert line.peak(9_990, 10_000) == 5


def test_a_pause_of_a_week_takes_no_room() -> None:
    sessions = [Session(1000.0, Timeline()), Session(1000.0 + 604_800, Timeline())]
    for session in sessions:
        session.line.add("follow_flows", 0, 50, 100)
        session.line.add(BUSY, 0, 50, 100)
        session.line.mark(50, 10)
    times = join_times(sessions)
    assert times is not None
    assert times.width * SHOWN == pytest.approx(100)
    (follow,) = times.rates
    assert sum(follow.each) * times.width == pytest.approx(200, rel=0.01)
    assert times.busy == pytest.approx([2.0] * SHOWN, rel=0.05)
    assert [(p.at, p.seconds) for p in times.pauses] == [(50.0, 604_750.0)]
    assert max(times.peaks) == 10


def test_a_run_that_has_done_nothing_has_no_times() -> None:
    assert join_times([]) is None
    assert join_times([Session(5.0, Timeline())]) is None
    times = join_times([Session(5.0, Timeline())], until=25.0)
    assert times is not None
    assert times.width * SHOWN == pytest.approx(20)


@given(st.lists(st.tuples(st.floats(0, 500), st.one_of(st.floats(0, 0.2), st.floats(0, 300)), st.integers(0, 99))))
def test_the_short_way_is_the_long_way(tasks: list[tuple[float, float, int]]) -> None:
    short, plain = Timeline(), Timeline()
    for start, long, peak in tasks:
        short.task("follow_flows", start, start + long, peak)
        plain.add("follow_flows", start, start + long, 1.0)
        plain.add(BUSY, start, start + long, start + long - start)
        plain.mark(start + long, peak)
    assert (short.width, short.stop, short.rows) == (plain.width, plain.stop, plain.rows)
    for row in ("follow_flows", BUSY):
        assert np.array_equal(short.upto(row, np.arange(900)), plain.upto(row, np.arange(900)))
    assert short.peak(0, 1000) == plain.peak(0, 1000)
