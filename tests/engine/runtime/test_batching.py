"""Bunches of tasks give what single tasks give, and no bunch is so long that a worker waits for another."""

from __future__ import annotations

import pickle
from contextlib import closing
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigcell.cluster.choose import choose_executor
from bigcell.core.errors import InputError
from bigcell.engine.runtime.batching import MAX_TASKS, SHARES, Done, PickledFunction, TaskBatcher


@given(st.integers(0, 500), st.integers(1, 5), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_every_item_is_in_one_bunch_in_order(count: int, workers: int, seconds: list[float]) -> None:
    bunches, seen = TaskBatcher(range(count), workers), list[int]()
    for number, bunch in enumerate(bunches):
        assert 1 <= len(bunch) <= max(1, min(MAX_TASKS, (count - len(seen)) // (SHARES * workers)))
        seen += bunch
        bunches.learn(Done(list(bunch), seconds[number % len(seconds)]))
    assert seen == list(range(count))


def test_short_tasks_go_together_and_long_ones_alone() -> None:
    short = TaskBatcher(range(10_000), 2)
    sizes = []
    for bunch in short:
        sizes.append(len(bunch))
        short.learn(Done(list(bunch), 1e-4 * len(bunch)))
    assert sizes[0] == 1
    assert max(sizes) == MAX_TASKS
    assert sizes[-1] == 1
    long = TaskBatcher(range(100), 2)
    for bunch in long:
        assert len(bunch) == 1
        long.learn(Done(list(bunch), 0.15))
    assert [len(b) for b in TaskBatcher(iter([1, 2, 3]), 1)] == [1, 1, 1]  # how many there are is not known


def picky(limit: int, n: int) -> int:
    if n == limit:
        raise InputError(f"{n} is too many")
    return 3 * n


@pytest.mark.parametrize("kind", ["serial", "processes", "local"])
def test_an_error_in_a_bunch_comes_after_the_results_before_it(kind: str) -> None:
    with closing(choose_executor(kind, 1)) as executor:
        assert sorted(executor.map(partial(picky, -1), range(300))) == [3 * n for n in range(300)]
        results: list[int] = []
        with pytest.raises(InputError, match="150 is too many"):
            results.extend(executor.map(partial(picky, 150), range(300)))
        assert set(range(0, 450, 3)) <= set(results)


class Counted:
    """Counts how often it is pickled and unpickled."""

    made = 0

    def __call__(self, n: int) -> int:
        return n

    def __reduce__(self) -> tuple[type[Counted], tuple[()]]:
        Counted.made += 1
        return Counted, ()


def test_a_function_is_pickled_once_however_often_it_is_sent() -> None:
    Counted.made = 0
    carried = PickledFunction.of(Counted(), pickle.dumps)
    for first in range(0, 10, 2):
        again = pickle.loads(pickle.dumps(carried))
        assert again((first, first + 1)).results == [first, first + 1]
    assert Counted.made == 1
