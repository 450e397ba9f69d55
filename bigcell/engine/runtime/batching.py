"""Several short tasks in one message: what a message costs is shared, what a task does and notes is as it was."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from operator import length_hint
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

SECONDS = 0.2
"""A message holds about as many tasks as one worker does in this time."""
MAX_TASKS = 64
"""Tasks in a message, at most."""
SHARES = 4
"""A message holds at most this part of what is left for a worker, so that all of them end at about the same time."""


class TaskBatcher(Generic[Item]):
    """Cuts `items` into bunches by how long the ones before took. Items of unknown number come one by one."""

    def __init__(self, items: Iterable[Item], workers: int) -> None:
        self._left, self._workers = length_hint(items), workers
        self._source = iter(items)
        self._seconds = SECONDS  # of a task; the first ones go alone

    def __iter__(self) -> Iterator[tuple[Item, ...]]:
        while bunch := tuple(islice(self._source, self._size())):
            self._left -= len(bunch)
            yield bunch

    def learn(self, done: Done[Any]) -> None:
        """Take in how long a bunch took. Tasks that take longer are believed at once, shorter ones by and by."""
        if done.results:
            each = done.seconds / len(done.results)
            self._seconds = max(each, (self._seconds + each) / 2)

    def _size(self) -> int:
        fair = self._left // (SHARES * self._workers)
        return max(1, min(MAX_TASKS, fair, int(SECONDS / max(self._seconds, 1e-6))))


@dataclass(frozen=True)
class Done(Generic[Result]):
    """What came of a bunch in `seconds`: results in order, up to the first task that raised `error`."""

    results: list[Result]
    seconds: float
    error: Exception | None = None

    def check(self) -> None:
        """Raise the error, if there is one."""
        if self.error is not None:
            raise self.error


def do_bunch(function: Callable[[Item], Result], bunch: tuple[Item, ...]) -> Done[Result]:
    """Run `function` on every item of a bunch, in order, until one fails."""
    begun = time.perf_counter()
    results: list[Result] = []
    try:
        for item in bunch:
            results.append(function(item))
    except Exception as error:
        return Done(results, time.perf_counter() - begun, error)
    return Done(results, time.perf_counter() - begun)


@dataclass(frozen=True)
class PickledFunction:
    """A function that was pickled once, however often it is sent, and is unpickled once in every worker."""

    content: bytes = field(repr=False)
    digest: str

    @classmethod
    def of(cls, function: Callable[..., Any], dumps: Callable[[Any], bytes]) -> PickledFunction:
        content = dumps(function)
        return cls(content, sha256(content).hexdigest())

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PickledFunction) and self.digest == other.digest

    def __call__(self, bunch: tuple[Any, ...]) -> Done[Any]:
        return do_bunch(_function(self), bunch)


@lru_cache(maxsize=2)
def _function(carried: PickledFunction) -> Callable[[Any], Any]:
    function: Callable[[Any], Any] = pickle.loads(carried.content)
    return function
