"""What is kept of late: no more than allowed, the oldest gone first, nothing sent along."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bigcell.core.lru import ByteLimitedLRUCache


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=40), st.integers(0, 12))
def test_it_holds_the_last_that_fit(asked: list[tuple[int, int]], most: int) -> None:
    held, known = ByteLimitedLRUCache[int](most), list[int]()
    sizes = dict(asked)  # a value always takes the same
    for key, _ in asked:
        made = []
        value = held.get(key, lambda key=key, made=made: made.append(key) or (key * 10, sizes[key]))  # type: ignore[misc, func-returns-value]
        assert value == key * 10
        assert bool(made) == (key not in known)
        known = [k for k in known if k != key] + [key]
        while sum(sizes[k] for k in known) > most:
            known.pop(0)
        assert held.bytes == sum(sizes[k] for k in known) <= most


def test_threads_share_it() -> None:
    held = ByteLimitedLRUCache[int](7)

    def ask(seed: int) -> bool:
        dice = Random(seed)
        keys = [dice.randrange(20) for _ in range(500)]
        return all(held.get(k, lambda k=k: (k, 1)) == k for k in keys)  # type: ignore[misc]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(16)))
    assert held.bytes <= 7


def test_it_is_sent_empty() -> None:
    held = ByteLimitedLRUCache[str](100)
    held.get("a", lambda: ("x" * 50, 50))
    again = pickle.loads(pickle.dumps(held))
    assert (again.most, again.bytes) == (100, 0)
    assert again.get("a", lambda: ("made anew", 9)) == "made anew"
