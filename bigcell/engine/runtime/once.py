"""What only one driver of a run may do, where several drive it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class OnceGuard(Protocol):
    """Decides who does what is to be done once."""

    @property
    def shared(self) -> bool:
        """Whether there may be other drivers."""

    def once(self, what: str, is_done: Callable[[], bool], do: Callable[[], object]) -> None:
        """Return when `what` is done, by this driver or by another: `is_done` then holds."""


@dataclass(frozen=True)
class SingleDriver:
    """A run with one driver."""

    shared: bool = False

    def once(self, what: str, is_done: Callable[[], bool], do: Callable[[], object]) -> None:
        """Do it, unless an earlier driver has."""
        if not is_done():
            do()


ALONE = SingleDriver()
