"""How far a run is, told in a small file of its work folder, for whoever looks from another terminal.

The driver rewrites the file at most once a second, so it costs nothing per task; reading it never disturbs a run.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from bigcell.engine.runtime.events import Event, Listener, Notice, StageFinished, StageStarted, TaskDone, TaskFailed
from bigcell.io.atomic import replace_file

STATUS_FILE = "status.json"
EVERY = 1.0
"""Seconds between two writings."""
KEPT = 100
"""Failures and notices that are kept."""

State = Literal["planned", "running", "stopped", "finished"]


@dataclass(frozen=True)
class Status:
    """One look at a run. `done` of `total` tasks of `stage`, `found` of them by an earlier driver; times in seconds
    since 1970; `failures` (stage, key, box, error) are those of this driver, `failed` counts them all.

    `peak_bytes` is the most memory that one worker has held; `stages` the seconds of each finished stage. `workers`
    counts those of an array: how many it has (of), that work (alive), ended, and were lost.
    """

    state: State = "running"
    labels: str = ""
    stage: str = ""
    done: int = 0
    total: int = 0
    found: int = 0
    voxels: int = 0
    began: float = 0.0
    updated: float = 0.0
    failed: int = 0
    failures: tuple[dict[str, Any], ...] = ()
    notices: tuple[str, ...] = ()
    peak_bytes: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    driver: dict[str, Any] = field(default_factory=dict)
    objects: int | None = None
    workers: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Tasks a second in this stage; 0 while there are none.

        >>> Status(done=14, found=4, began=100.0, updated=105.0).rate
        2.0
        """
        seconds = self.updated - self.began
        return (self.done - self.found) / seconds if seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Until the end of this stage, at this rate; None where it cannot be known."""
        return (self.total - self.done) / self.rate if self.rate and self.state == "running" else None

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {**asdict(self), "rate": self.rate, "seconds_left": self.seconds_left}


class StatusFile:
    """A listener that keeps the file, and passes every event on."""

    def __init__(self, work: Path, labels: str, then: Listener, *, now: Callable[[], float] = time.time) -> None:
        self._path, self._then, self._now = work / STATUS_FILE, then, now
        self._values = Status(labels=labels, began=now(), updated=now(), driver=this_process())
        self._written = 0.0
        self._write()

    def __call__(self, event: Event) -> None:
        v, now = self._values, self._now()
        if isinstance(event, TaskDone):
            self._set(done=v.done + 1, voxels=v.voxels + event.voxels, peak_bytes=max(v.peak_bytes, event.peak_bytes))
        elif isinstance(event, StageStarted):
            self._set(stage=event.stage, done=event.done, found=event.done, total=event.total, voxels=0, began=now)
        elif isinstance(event, TaskFailed):
            about = {"stage": event.stage, "key": event.key, "box": event.box, "error": event.error}
            self._set(failed=v.failed + 1, failures=(*v.failures[: KEPT - 1], about))
        elif isinstance(event, StageFinished):
            before = v.stages.get(event.stage, 0.0)
            self._set(stages={**v.stages, event.stage: round(before + event.seconds, 2)})
        elif isinstance(event, Notice):
            self._set(notices=(*v.notices, event.text)[-KEPT:])
        if now - self._written >= EVERY or isinstance(event, TaskFailed):
            self._set(updated=now)
            self._write()
        self._then(event)

    @property
    def values(self) -> Status:
        """What there is to say now."""
        return self._values

    def stop(self) -> None:
        """The last word of a run that did not finish."""
        self._set(state="stopped", updated=self._now())
        self._write()

    def _set(self, **changes: Any) -> None:
        self._values = replace(self._values, **changes)

    def _write(self) -> None:
        """Whole or not at all. A disk that is full must not end a run here: the file then stays as it was."""
        self._written = self._now()
        with suppress(OSError):
            replace_file(self._path, json.dumps(asdict(self._values)).encode())


def this_process() -> dict[str, Any]:
    """This process, as `is_alive` knows it."""
    return {"pid": os.getpid(), "started": _started(psutil.Process()), "machine": _machine(), "boot": _boot()}


def is_alive(driver: dict[str, Any]) -> bool:
    """Whether the process that wrote the file still runs; of another machine's this cannot be told: it is believed.

    A machine is known by its name and by when it was started, so it may be given another name meanwhile.
    """
    boot, here = _boot(), driver.get("machine") == _machine()
    same = driver["boot"] == boot if boot and driver.get("boot") else here
    if not (same or here):
        return True
    try:
        process = psutil.Process(int(driver["pid"]))
        started = _started(process) if "boot" in driver else process.create_time()
        return bool(same and abs(started - float(driver["started"])) < 1.0)
    except (psutil.Error, KeyError, ValueError, TypeError):
        return False


def is_known_dead(process: Mapping[str, Any]) -> bool:
    """Whether a process, as `this_process` describes it, is one of this machine that has ended."""
    return not is_alive(dict(process))


def _machine() -> str:
    """Tells machines apart without naming them."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:16]


def _boot() -> str:
    """Tells apart the times that a machine was started, and the processes that see each other; "" where unknown."""
    try:
        known = Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def _started(process: psutil.Process) -> float:
    """When a process began, in seconds by a clock that nobody can set."""
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
        return int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")  # since the machine was started
    except (OSError, ValueError, IndexError):  # where there is no /proc, psutil's time does not follow the clock
        return float(process.create_time())
