"""What the journal tells of a run, added up: seconds, objects and retries of blocks, throughput and memory over time.

Lines are read one by one and every task counts once, whichever driver it was done for. What is held does not grow with
the run, but for a bit a task.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bigcell.core.documents import is_number, parse_object
from bigcell.engine.pipeline.failures import TRIED
from bigcell.engine.planning.plan import Plan
from bigcell.engine.runtime.events import Listener, Notice, ignore
from bigcell.engine.tasks.stages import STAGES, label_of
from bigcell.io.scratch import Scratch
from bigcell.provenance.journal import whole_notes
from bigcell.provenance.record import versions
from bigcell.report.blockmap import BlockSums
from bigcell.report.facts import Stage
from bigcell.report.timeline import Session, Timeline

DRIVERS = "drivers"
"""The log of the scratch that says when drivers began."""
MOST_KINDS = 200
"""Kinds of failed tries that are told apart."""
MOST_SESSIONS = 50
NEAR = 60.0
"""Where there are more drivers than that, those that began within so many seconds count as one."""
LARGEST = 1 << 33
"""Numbers of tasks up to here are told apart by a bit each."""


@dataclass
class RunStatistics:
    """Sums over the journal of a run of `plan`."""

    plan: Plan
    stages: dict[str, Stage] = field(default_factory=dict)
    sessions: list[Session] = field(default_factory=list)
    tried: Counter[str] = field(default_factory=Counter)
    """How often tries failed, by stage and error."""
    blocks: BlockSums = field(init=False)

    def __post_init__(self) -> None:
        extent, grid = self.plan.extent, self.plan.grid
        block, counts = (tuple(int(n) for n in v) for v in (grid.shape, grid.counts))
        self.blocks = BlockSums(extent, (block[0], block[1], block[2]), (counts[0], counts[1], counts[2]))

    @classmethod
    def of(cls, plan: Plan, scratch: Scratch) -> RunStatistics:
        """All that the journal in `scratch` tells."""
        account = cls(plan)
        account.sessions = [Session(at, Timeline()) for at in _starts(scratch)]
        for stage in STAGES:
            account._read(stage, whole_notes(scratch.lines(f"done/{stage}")))
        for line in _parsed(scratch.lines(TRIED)):
            what = f"{label_of(str(line.get('stage')))}: {line.get('error')}"
            account.tried[what if what in account.tried or len(account.tried) < MOST_KINDS else "others"] += 1
        account.sessions = [s for i, s in enumerate(account.sessions) if i == 0 or s.line.stop > 0]
        return account

    def _read(self, stage: str, lines: Iterable[tuple[str, bytes, dict[str, Any]]]) -> None:
        seen, tasks, work, peak, retries = Seen(), 0, 0.0, 0, 0
        spans: dict[int, tuple[float, float]] = {}
        for key, _, note in lines:
            if not seen.first(key):
                continue
            seconds, held, tries = float(note.get("seconds", 0)), int(note.get("peak", 0)), int(note.get("tries", 1))
            tasks, work, peak, retries = tasks + 1, work + seconds, max(peak, held), retries + tries - 1
            self._place(stage, key, note, seconds, tries - 1)
            if "at" in note and self.sessions:
                self._time(stage, float(note["at"]), seconds, held, spans)
        if tasks:
            elapsed = sum(stop - start for start, stop in spans.values())
            voxels = self._voxels(stage, tasks)
            self.stages[stage] = Stage(stage, tasks, tasks, work, round(elapsed, 2), voxels, peak, retries)

    def _voxels(self, stage: str, tasks: int) -> int:
        """Voxels of the volume that so many tasks have gone over; blocks without foreground have none."""
        unit = STAGES[stage].unit
        if not STAGES[stage].covers_volume:
            return 0
        whole = len(self.plan.grid) if unit == "block" else tasks
        whole = len(self.plan.lattice.cubes) if unit == "cube" else whole
        return self.plan.voxels * min(tasks, whole) // whole

    def _time(self, stage: str, at: float, seconds: float, peak: int, spans: dict[int, tuple[float, float]]) -> None:
        number = max(0, bisect_right(self.sessions, at, key=lambda s: s.began) - 1)
        session = self.sessions[number]
        stop = max(0.0, at - session.began)
        start = max(0.0, stop - seconds)
        session.line.task(stage, start, stop, peak)
        before = spans.get(number, (start, stop))
        spans[number] = (min(before[0], start), max(before[1], stop))

    def _place(self, stage: str, key: str, note: dict[str, Any], seconds: float, retries: int) -> None:
        """Count a task where it worked, if that is one place."""
        if STAGES[stage].unit == "cube":
            box = self.plan.grids.source_box(self.plan.lattice.region(int(key)))
            self.blocks.spread(box.start, box.stop, seconds, retries)
            return
        block = STAGES[stage].block_of(key, self.plan)
        if block is None:
            return
        cell = self.blocks.cell(block)
        self.blocks.seconds[cell] += seconds
        if retries:
            self.blocks.retries[cell] += retries
        objects = note.get("kept", 0) - note.get("unfit", 0)
        if objects:
            self.blocks.objects[cell] += objects


class Seen:
    """Which keys of a stage were met: a bit each for numbers, which nearly all are.

    >>> seen = Seen()
    >>> [seen.first(key) for key in ("7", "1-7", "7", "1-7", "8")]
    [True, True, False, False, True]
    """

    def __init__(self) -> None:
        self._bits = bytearray(1024)
        self._others: set[str] = set()

    def first(self, key: str) -> bool:
        """Whether `key` is met for the first time."""
        number = int(key) if key.isdecimal() else LARGEST
        if number >= LARGEST:
            new = key not in self._others
            self._others.add(key)
            return new
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1))
        before = self._bits[place]
        self._bits[place] = before | bit
        return not before & bit


def begin_session(scratch: Scratch, now: float, listener: Listener = ignore) -> None:
    """Put down that a driver began, and with what packages; a notice where earlier ones of this run had others."""
    before = set(versions_used(scratch).items())
    scratch.append(DRIVERS, json.dumps({"at": round(now, 3), "versions": versions()}).encode())
    others = sorted(set(versions_used(scratch).items()) - before) if before else []
    if others:
        listener(Notice(f"this run began with other versions: {', '.join(' '.join(pair) for pair in others)}"))


def versions_used(scratch: Scratch) -> dict[str, str]:
    """The versions of the packages that drivers of this run had; of one that had several of them: all.

    Equal to `versions()` for a run whose drivers all had those.
    """
    found: dict[str, set[str]] = {}
    for line in _parsed(scratch.lines(DRIVERS)):
        for name, version in dict(line.get("versions", {})).items():
            found.setdefault(str(name), set()).add(str(version))
    return {name: ", ".join(sorted(used)) for name, used in found.items()}


def _starts(scratch: Scratch) -> list[float]:
    """When drivers began, in order; of very many those that began together are one."""
    found = sorted(float(line["at"]) for line in _parsed(scratch.lines(DRIVERS)) if is_number(line.get("at")))
    if len(found) > MOST_SESSIONS:
        apart: list[float] = []
        for at in found:
            if not apart or at - apart[-1] > NEAR:
                apart.append(at)
        found = apart[:MOST_SESSIONS]
    return found


def _parsed(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            found = parse_object(line, "a line of a log")
        except ValueError:  # torn by the death of its writer
            continue
        yield found
