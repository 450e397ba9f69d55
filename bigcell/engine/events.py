"""What the engine tells while it runs. Progress bars, logs and timings are listeners; the engine prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StageStarted:
    """A stage begins: `total` tasks over `voxels` in all, of which `done` were found finished."""

    stage: str
    total: int
    done: int
    voxels: int


@dataclass(frozen=True)
class TaskDone:
    """One task of a stage is finished. `seconds` and `peak_bytes` are its worker's."""

    stage: str
    key: str
    voxels: int
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class TaskFailed:
    """One task failed again and again and is set aside. `box`: (start, stop) z, y, x of where it works, or ()."""

    stage: str
    key: str
    box: tuple[tuple[int, ...], ...]
    error: str


@dataclass(frozen=True)
class StageFinished:
    """All tasks of a stage are finished, after `seconds` of wall time."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class Notice:
    """Something the user should know, in a sentence."""

    text: str


Event = StageStarted | TaskDone | TaskFailed | StageFinished | Notice
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener that does not listen."""
