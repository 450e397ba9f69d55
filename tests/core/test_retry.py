"""Tries are counted, and pauses grow."""

from __future__ import annotations

import pytest

from bigcell.core.retry import Retries


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr("bigcell.core.retry.time.sleep", found.append)
    return found


def test_pauses_double_and_the_last_try_is_the_last(pauses: list[float]) -> None:
    retries = Retries(4, 0.25)
    assert [retries.again() for _ in range(4)] == [True, True, True, False]
    assert pauses == [0.25, 0.5, 1.0]


def test_a_single_try_is_not_done_again(pauses: list[float]) -> None:
    assert not Retries(1, 9).again()
    assert pauses == []


def test_progress_begins_the_count_anew(pauses: list[float]) -> None:
    retries = Retries(3, 2)
    assert [retries.again(progress=k == 1) for k in range(5)] == [True, True, True, True, False]
    assert pauses == [2, 1, 2, 4]
