"""What the engine tells while it runs. Progress bars, logs and timings are listeners; the engine prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RunStarted:
    """There is a run now that can be taken up, whatever ends it: that of `labels` in `store`."""

    store: str
    labels: str


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

    def __str__(self) -> str:
        """One line.

        >>> print(TaskFailed("follow_flows", "7", ((0, 0, 64), (64, 64, 128)), "KeyError: 3"))
        follow_flows of 7 (0:64, 0:64, 64:128): KeyError: 3
        """
        place = region_text(self.box)
        return f"{self.stage} of {self.key}{f' ({place})' if place else ''}: {self.error}"


@dataclass(frozen=True)
class StageFinished:
    """All tasks of a stage are finished, after `seconds` of wall time."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class Notice:
    """Something the user should know, in a sentence."""

    text: str


def region_text(box: Sequence[Sequence[int]]) -> str:
    """(start, stop) as slices; "" for ()."""
    return ", ".join(f"{a}:{b}" for a, b in zip(*box, strict=True)) if box else ""


Event = RunStarted | StageStarted | TaskDone | TaskFailed | StageFinished | Notice
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener that does not listen."""
