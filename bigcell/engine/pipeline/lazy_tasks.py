"""The items of a stage, made when their turn comes, so that a stage of a million blocks is a few numbers at a time."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bigcell.engine.tasks.perform import key_of


@dataclass(frozen=True)
class LazyTasks:
    """`count` items: `make` gives one by its place, `key` its name in the journal, which costs less than making it.

    >>> blocks = LazyTasks(3, lambda k: (k, k + 1))
    >>> len(blocks), blocks.make(2), blocks.key(2)
    (3, (2, 3), '2')
    """

    count: int
    make: Callable[[int], Any]
    key: Callable[[int], str] = str

    @classmethod
    def of(cls, items: Iterable[Any]) -> LazyTasks:
        """Tasks that are there already, named by their first part."""
        if isinstance(items, LazyTasks):
            return items
        held = list(items)
        return cls(len(held), held.__getitem__, lambda i: key_of(held[i]))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        return map(self.make, range(self.count))


@dataclass(frozen=True)
class PendingTasks:
    """Those of `items` at the places `which`, each with its place. Knows how many there are, and makes them late."""

    items: LazyTasks
    which: Sequence[int] | array[int]

    def __len__(self) -> int:
        return len(self.which)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        for i in self.which:
            yield i, self.items.make(i)
