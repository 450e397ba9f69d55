"""The suite that every executor passes: subclass it in pytest to test an executor of your own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np

from bigcell.core.errors import BigcellError, BlockError, ChunkError, InputError, ModelError, OutputError, SettingsError
from bigcell.core.volume import Array
from bigcell.engine.runtime.executors import Executor, SerialExecutor, WorkersLostError

Item = TypeVar("Item")

TYPES: tuple[type[Exception], ...] = (InputError, ChunkError, SettingsError, ModelError, OutputError, BlockError)
UNLUCKY = 13


class ExecutorTests:
    """Check that an object runs tasks as bigcell needs it: the same results as one task after the other.

    Subclass it under a name that starts with ``Test`` and give a pytest fixture `executor` that yields the executor
    and closes it; tests may share one executor. If its workers are other processes, one of them is killed.

    See Also
    --------
    bigcell.testing.VolumeTests : The same for what images are read from.

    Examples
    --------
    >>> class TestMine(ExecutorTests):
    ...     @pytest.fixture
    ...     def executor(self):
    ...         with closing(MyExecutor(workers=2)) as executor:
    ...             yield executor                             # doctest: +SKIP
    """

    def test_it_has_workers(self, executor: Executor) -> None:
        """The number of workers is at least 1."""
        assert executor.workers >= 1

    def test_every_result_comes_once(self, executor: Executor) -> None:
        """Each item gives one result. The order is free."""
        executor.begin("a stage")
        assert sorted(executor.map(_double, range(100))) == [2 * i for i in range(100)]

    def test_results_are_those_of_one_task_after_the_other(self, executor: Executor) -> None:
        """Arrays come back with the same bytes, whatever the worker and the order."""
        function = partial(_noise, np.array([3.0, 1e-9, np.nan]))
        found = dict(executor.map(function, range(12)))
        plain = dict(SerialExecutor().map(function, range(12)))
        assert {i: (a.dtype, a.tobytes()) for i, a in found.items()} == {
            i: (a.dtype, a.tobytes()) for i, a in plain.items()
        }

    def test_no_items_give_no_results(self, executor: Executor) -> None:
        """A stage may have nothing to do, and then another one has."""
        assert list(executor.map(_double, [])) == []
        assert list(executor.map(_double, [4])) == [8]

    def test_an_error_keeps_its_type_and_its_words(self, executor: Executor) -> None:
        """What a task raises is raised by the iterator, and the executor can be used on."""
        for kind in TYPES:
            error = _error_of(executor, partial(_fail, kind))
            assert type(error) is kind, f"{kind.__name__} came back as {error!r}"
            assert str(error) == "item 13 cannot be used"
        assert sorted(executor.map(_double, [1, 2])) == [2, 4]

    def test_only_a_few_items_are_taken_ahead(self, executor: Executor) -> None:
        """Memory of the driver does not grow with the number of items."""
        taken: list[int] = []
        results = executor.map(_double, _noted(range(100_000), taken))
        next(results)
        _give_up(results)
        assert len(taken) <= 100 + 20 * executor.workers

    def test_results_that_nobody_wants_do_not_come_later(self, executor: Executor) -> None:
        """An iterator that is closed ends its map: the next one gives its own results only."""
        results = executor.map(_double, range(1000))
        next(results)
        _give_up(results)
        assert sorted(executor.map(_double, [-1, -2])) == [-4, -2]

    def test_a_worker_that_dies_is_named_by_its_items(self, executor: Executor) -> None:
        """All other items are done; WorkersLostError at the end says which were in hand. Needs other processes."""
        if os.getpid() in set(executor.map(_process, range(8))):
            return  # tasks run in this process, which nobody may kill
        done: list[int] = []
        lost: set[int] = set()
        try:
            done.extend(executor.map(_die, range(30)))
        except WorkersLostError as error:
            lost = set(error.items)
        assert UNLUCKY in lost, "a worker died and no WorkersLostError named its item"
        assert set(done) | lost == set(range(30)), "items are neither done nor named as lost"
        assert len(done) == len(set(done)), "an item was done twice"
        assert sorted(executor.map(_double, [5, 6])) == [10, 12]


def _double(n: int) -> int:
    return 2 * n


def _noise(scale: Array, seed: int) -> tuple[int, Array]:
    return seed, np.random.default_rng(seed).normal(size=3) * scale


def _fail(kind: type[Exception], item: int) -> int:
    if item == UNLUCKY:
        raise kind(f"item {item} cannot be used")
    return item


def _process(_: int) -> int:
    return os.getpid()


def _die(item: int) -> int:
    if item == UNLUCKY:
        os._exit(1)
    return item


def _error_of(executor: Executor, function: Callable[[int], int]) -> BigcellError:
    try:
        list(executor.map(function, [1, UNLUCKY, 2]))
    except BigcellError as error:
        return error
    raise AssertionError("a task failed and nothing was raised")


def _noted(items: range, taken: list[int]) -> Iterator[int]:
    for item in items:
        taken.append(item)
        yield item


def _give_up(results: Iterator[Item]) -> None:
    """Close it as a loop that is left early does."""
    close = getattr(results, "close", None)
    assert close is not None, "map gave an iterator without close(): wanted a generator"
    close()
