"""What happened when, in a fixed number of bins: they double in width whenever a run outgrows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bigcell.core.volume import Array
from bigcell.report.facts import Pause, Rate, Times

BINS = 256
FIRST_WIDTH = 0.1
"""Seconds of a bin, before it doubles."""
SHOWN = 200
"""Bins of a report."""
BUSY = ""
"""The row of the seconds that workers were busy; the others are named by stage and count tasks."""


class Timeline:
    """Amounts spread over time, row by row, from the start of one driver on. Its memory does not grow.

    >>> line = Timeline()
    >>> line.add("follow_flows", 0.0, 20.0, 5.0)
    >>> line.add("follow_flows", 90.0, 100.0, 5.0)
    >>> line.upto("follow_flows", [20.0, 95.0, 100.0]).round(1).tolist()
    [5.0, 7.5, 10.0]
    """

    def __init__(self) -> None:
        self.width, self.stop = FIRST_WIDTH, 0.0
        self._rows: dict[str, list[float]] = {}
        self._peaks = [0] * BINS

    @property
    def rows(self) -> tuple[str, ...]:
        return tuple(self._rows)

    def add(self, row: str, start: float, stop: float, amount: float) -> None:
        """Spread `amount` evenly over `start` to `stop` (seconds; what lies before 0 counts as at 0)."""
        stop = max(0.0, stop)
        start = min(max(0.0, start), stop)
        self._reach(stop)
        bins = self._rows.setdefault(row, [0.0] * BINS)
        first, last = int(start / self.width), int(stop / self.width)
        if first == last:
            bins[first] += amount
            return
        each = amount / (stop - start)
        bins[first] += each * ((first + 1) * self.width - start)
        bins[last] += each * (stop - last * self.width)
        for i in range(first + 1, last):
            bins[i] += each * self.width

    def task(self, stage: str, start: float, stop: float, peak: int) -> None:
        """A task of `stage` kept a worker busy from `start` to `stop`; its process had held `peak` bytes by then."""
        first, last = int(start / self.width), int(stop / self.width)
        busy, done = self._rows.get(BUSY), self._rows.get(stage)
        if not 0 <= first == last < BINS or busy is None or done is None:
            self.add(stage, start, stop, 1.0)
            self.add(BUSY, start, stop, stop - start)
            self.mark(stop, peak)
            return
        done[first] += 1.0  # nearly all are shorter than a bin: the short way to the same
        busy[first] += stop - start
        self._peaks[first] = max(self._peaks[first], peak)
        self.stop = max(self.stop, stop)

    def mark(self, at: float, peak: int) -> None:
        """A process had held `peak` bytes by `at`."""
        at = max(0.0, at)
        self._reach(at)
        place = int(at / self.width)
        self._peaks[place] = max(self._peaks[place], peak)

    def upto(self, row: str, times: Sequence[float] | Array) -> Array:
        """The sum of `row` from the start to each of `times`."""
        edges = np.arange(BINS + 1) * self.width
        sums = np.concatenate([[0.0], np.cumsum(self._rows.get(row, [0.0] * BINS))])
        return np.asarray(np.interp(times, edges, sums))

    def peak(self, start: float, stop: float) -> int:
        """The most that was marked between two times (whole bins)."""
        first, last = (min(BINS - 1, int(t / self.width)) for t in (start, stop))
        return max(self._peaks[first : last + 1])

    def _reach(self, at: float) -> None:
        self.stop = max(self.stop, at)
        while at >= self.width * BINS:
            self.width *= 2
            for row, bins in self._rows.items():
                self._rows[row] = [a + b for a, b in _pairs(bins)] + [0.0] * (BINS // 2)
            self._peaks = [max(a, b) for a, b in _pairs(self._peaks)] + [0] * (BINS // 2)


def _pairs(values: list) -> list:  # type: ignore[type-arg]
    return list(zip(values[::2], values[1::2], strict=True))


@dataclass(frozen=True)
class Session:
    """One driver's part of a run: `began` in seconds since 1970, what its tasks took from there."""

    began: float
    line: Timeline


def join_times(sessions: Sequence[Session], until: float | None = None) -> Times | None:
    """Bins of equal width over the time in which drivers worked; the pauses between them are cut out, and told.

    A driver worked from its start to the end of its last task, the last one to `until`, where it is given. None where
    nothing was done.
    """
    spans = [s.line.stop for s in sessions]
    if until is not None and sessions:
        spans[-1] = max(spans[-1], until - sessions[-1].began)
    ends = np.concatenate([[0.0], np.cumsum(spans)])
    if not ends[-1]:
        return None
    edges = np.linspace(0.0, float(ends[-1]), SHOWN + 1)
    rows = sorted({row for s in sessions for row in s.line.rows})
    sums = {row: np.zeros(SHOWN) for row in rows}
    peaks = [0] * SHOWN
    for session, offset, span in zip(sessions, ends, spans, strict=False):
        own = np.clip(edges - offset, 0.0, span)
        for row in rows:
            sums[row] += np.diff(session.line.upto(row, own))
        for i in np.flatnonzero(np.diff(own)):
            peaks[i] = max(peaks[i], session.line.peak(float(own[i]), float(own[i + 1])))
    width = float(ends[-1]) / SHOWN
    each = {row: tuple(round(float(v), 4) for v in values / width) for row, values in sums.items()}
    busy = each.pop(BUSY, (0.0,) * SHOWN)
    rates = tuple(Rate(stage, values) for stage, values in each.items())
    return Times(sessions[0].began, width, busy, rates, tuple(peaks), _pauses(sessions, spans, ends))


def _pauses(sessions: Sequence[Session], spans: Sequence[float], ends: Array) -> tuple[Pause, ...]:
    """Between the last task of each driver and the start of the next."""
    found = []
    for i, (before, after) in enumerate(pairwise(sessions)):
        pause = after.began - (before.began + spans[i])
        found.append(Pause(round(float(ends[i + 1]), 1), round(max(0.0, pause), 1)))
    return tuple(found)
