"""The shipped suites notice what they are there for: each broken part fails the test that is named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import bigcell.testing
from bigcell.core.box import Box
from bigcell.core.volume import Array, ArrayVolume
from bigcell.engine.runtime.executors import SerialExecutor
from bigcell.testing import ExecutorTests, VolumeTests

VOXELS = np.random.default_rng(0).integers(0, 99, (1, 4, 5, 6)).astype(np.uint8)


class Transposed(ArrayVolume):
    def read(self, box: Box) -> Array:
        return super().read(box).swapaxes(2, 3)


class Restless(ArrayVolume):
    def read(self, box: Box) -> Array:
        return super().read(box) + np.uint8(box.start[0])


class Wide(ArrayVolume):
    def read(self, box: Box) -> Array:
        return super().read(box).astype(np.float64)


class Clipping(ArrayVolume):
    def read(self, box: Box) -> Array:
        return super().read(box & Box.of(self.extent))


class Forgetful(ArrayVolume):
    def __reduce__(self) -> Any:
        return ArrayVolume, (self.array + np.uint8(1), self.spacing, self.channels)


class Numbered(ArrayVolume):
    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "channels", (0,))


@pytest.mark.parametrize(
    ("volume", "test"),
    [
        (Transposed, "test_the_whole_is_as_it_says"),
        (Wide, "test_the_whole_is_as_it_says"),
        (Restless, "test_any_box_is_that_part_of_the_whole"),
        (Clipping, "test_a_box_outside_is_refused"),
        (Forgetful, "test_a_pickled_copy_reads_the_same"),
        (Numbered, "test_channels_are_names"),
    ],
)
def test_a_broken_volume_fails(volume: type[ArrayVolume], test: str) -> None:
    check = getattr(VolumeTests(), test)
    check(ArrayVolume(VOXELS))
    with pytest.raises(AssertionError):
        check(volume(VOXELS))


def test_values_that_are_not_the_expected_ones_fail() -> None:
    class Zeros(VolumeTests):
        def expected(self, volume: object) -> Array:
            return np.zeros_like(VOXELS)

    with pytest.raises(AssertionError):
        Zeros().test_the_whole_is_as_it_says(ArrayVolume(VOXELS))


@dataclass(frozen=True)
class Doing(SerialExecutor):
    """What `change` makes of the results of a map."""

    change: Callable[[Iterator[Any]], Iterable[Any]] = iter

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        yield from self.change(super().map(function, items))


def _without_errors(results: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from results
    except Exception:
        return


def _of_one_type(results: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from results
    except Exception as error:
        raise ValueError(str(error)) from error


def _of_four_bytes(results: Iterator[tuple[int, Array]]) -> Iterator[tuple[int, Array]]:
    return ((item, array.astype(np.float32)) for item, array in results)


class ElsewhereSilent(SerialExecutor):
    """Says that its tasks run in another process, and loses an item there without a word."""

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        if function.__name__ == "_process":
            return iter([os.getpid() + 1])
        return (function(item) for item in items if item != 13)


@pytest.mark.parametrize(
    ("executor", "test"),
    [
        (Doing(workers=0), "test_it_has_workers"),
        (Doing(change=lambda r: list(r)[1:]), "test_every_result_comes_once"),
        (Doing(change=lambda r: [x for y in r for x in (y, y)]), "test_every_result_comes_once"),
        (Doing(change=_of_four_bytes), "test_results_are_those_of_one_task_after_the_other"),
        (Doing(change=lambda r: [*r, None]), "test_no_items_give_no_results"),
        (Doing(change=_without_errors), "test_an_error_keeps_its_type_and_its_words"),
        (Doing(change=list), "test_only_a_few_items_are_taken_ahead"),
        (ElsewhereSilent(), "test_a_worker_that_dies_is_named_by_its_items"),
    ],
)  # fmt: skip
def test_a_broken_executor_fails(executor: SerialExecutor, test: str) -> None:
    with pytest.raises(AssertionError):
        getattr(ExecutorTests(), test)(executor)


def test_an_error_of_another_type_is_not_taken_for_it() -> None:
    with pytest.raises(ValueError, match="item 13"):
        ExecutorTests().test_an_error_keeps_its_type_and_its_words(Doing(change=_of_one_type))


def test_results_of_an_earlier_map_are_noticed() -> None:
    left: list[Any] = []

    class Late(SerialExecutor):
        def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
            yield from left
            for item in items:
                left.append(function(item))
                yield left[-1]

    with pytest.raises(AssertionError):
        ExecutorTests().test_results_that_nobody_wants_do_not_come_later(Late())


def test_the_public_names_are_there() -> None:
    assert set(bigcell.testing.__all__) == set(bigcell.testing._HOME)
    for name in bigcell.testing.__all__:
        assert getattr(bigcell.testing, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'VolumTests'"):
        bigcell.testing.VolumTests  # noqa: B018
