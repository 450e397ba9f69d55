"""What was made a short while ago, for tasks that follow one another and need much the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class ByteLimitedLRUCache(Generic[Value]):
    """Holds values of up to `most` bytes together; those that were asked for longest ago go first.

    Threads may share one. It is sent to other processes empty.

    >>> held = ByteLimitedLRUCache[str](10)
    >>> held.get("a", lambda: ("made", 6)), held.get("a", lambda: ("made anew", 6))
    ('made', 'made')
    >>> held.get("b", lambda: ("other", 6)), held.get("a", lambda: ("made anew", 6))
    ('other', 'made anew')
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.bytes = 0
        self._held: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], tuple[Value, int]]) -> Value:
        """The value of `key`, made if it is not held: `make` returns it with the bytes it takes."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][0]
        value, size = make()
        with self._lock:
            if key not in self._held:
                self._held[key] = value, size
                self.bytes += size
            while self.bytes > self.most:
                self.bytes -= self._held.popitem(last=False)[1][1]
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.most,)
