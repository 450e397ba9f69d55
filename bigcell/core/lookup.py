"""Lookup: a sorted table from integer keys to integers, in pieces that share no key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bigcell.core.volume import Array


@dataclass(frozen=True)
class Lookup:
    """``value[i]`` for ``key[i]``, keys ascending; both (n,) int64. A key that is not there has the value 0.

    >>> Lookup(np.array([3, 7]), np.array([1, 2])).of(np.array([3, 5, 7]))
    array([1, 0, 2])
    """

    key: Array
    value: Array

    @classmethod
    def join(cls, parts: Sequence[Lookup]) -> Lookup:
        """One table of several that share no key."""
        key = np.concatenate([np.zeros(0, np.int64), *(p.key for p in parts)])
        value = np.concatenate([np.zeros(0, np.int64), *(p.value for p in parts)])
        order = np.argsort(key, kind="stable")
        return cls(key[order], value[order])

    def of(self, keys: Array) -> Array:
        """The values of `keys`, 0 where a key is not known."""
        if len(self.key) == 0:
            return np.zeros(len(keys), np.int64)
        at = np.minimum(np.searchsorted(self.key, keys), len(self.key) - 1)
        return np.where(self.key[at] == keys, self.value[at], 0)
