"""What a training tells while it runs. Bars, logs and boards are listeners; the training prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bigcell.training.loop.state import Row


@dataclass(frozen=True)
class Begun:
    """A training of `total` steps begins in `out`, or goes on after `done` of them; `text` says with what."""

    done: int
    total: int
    text: str
    out: str = ""


@dataclass(frozen=True)
class Stepped:
    """`step` steps of `total` are done; `loss` is that of the last batch."""

    step: int
    total: int
    loss: float


@dataclass(frozen=True)
class Looked:
    """A row of the history is written; `best`: its weights are the best so far."""

    row: Row
    best: bool


@dataclass(frozen=True)
class Said:
    """Something the user should know, in a sentence."""

    text: str


Event = Begun | Stepped | Looked | Said
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """The listener that does not listen."""
