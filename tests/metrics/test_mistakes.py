"""The list of cells that went wrong: each kind by hand, each cell once, and the counts of the scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array
from bigcell.metrics import mistakes as module
from bigcell.metrics.boundary import Ball
from bigcell.metrics.mistakes import Mistake, Mistakes, MistakeSettings, mistakes
from bigcell.metrics.scores import score
from bigcell.metrics.tally import tally


def wrong(truth: Array, found: Array, **options: float) -> Mistakes:
    return mistakes(tally(truth, found, Ball()), MistakeSettings(**options))


def example() -> tuple[Array, Array]:
    """A row for each: split in two, two merged, missed, extra, matched poorly, right."""
    truth, found = np.zeros((2, 1, 12, 20), np.int64)
    truth[0, 0, :10], found[0, 0, :5], found[0, 0, 5:10] = 1, 11, 12
    truth[0, 2, :4], truth[0, 2, 4:8], found[0, 2, :8] = 2, 3, 13
    truth[0, 4, 2:5] = 4
    found[0, 6, 2:4] = 14
    truth[0, 8, :10], found[0, 8, :6] = 5, 15
    truth[0, 10, :10], found[0, 10, :9] = 6, 16
    return truth, found


def test_each_kind() -> None:
    rows = list(wrong(*example()))
    assert rows == [
        Mistake("merged", 2, 13, 0.5, True, 2, 8, (0.0, 2.0, 3.5)),
        Mistake("split", 1, 11, 0.5, True, 2, 10, (0.0, 0.0, 4.5)),
        Mistake("missed", 3, 13, 0.5, False, 1, 4, (0.0, 2.0, 5.5)),
        Mistake("missed", 4, 0, 0.0, False, 0, 3, (0.0, 4.0, 3.0)),
        Mistake("extra", 1, 12, 0.5, False, 1, 5, (0.0, 0.0, 7.0)),
        Mistake("extra", 0, 14, 0.0, False, 0, 2, (0.0, 6.0, 2.5)),
        Mistake("poor", 5, 15, 0.6, True, 1, 10, (0.0, 8.0, 4.5)),
        Mistake("poor", 2, 13, 0.5, True, 1, 4, (0.0, 2.0, 1.5)),
    ]


def test_fewer_where_less_is_asked() -> None:
    assert wrong(*example(), poor=0.0).counts() == {"merged": 1, "split": 1, "missed": 2, "extra": 2, "poor": 0}
    assert wrong(*example(), threshold=0.8).counts()["missed"] == 4
    assert len(wrong(*(example()[0],) * 2)) == 0


@given(st.integers(0, 10**6), st.sampled_from([0.2, 0.5, 0.7]))
@settings(max_examples=40)
def test_each_cell_once_and_as_many_as_scored(
    random_pair: Callable[..., tuple[Array, Array]], seed: int, threshold: float
) -> None:
    truth, found = random_pair(seed)
    counted = tally(truth, found, Ball())
    got = mistakes(counted, MistakeSettings(threshold=threshold))
    scores = score(counted, thresholds=(threshold,))
    rows = list(got)
    assert len(rows) == len(got) == sum(got.counts().values())
    of_truth = [row for row in rows if row.kind in ("split", "missed", "poor")]
    of_found = [row for row in rows if row.kind in ("merged", "extra")]
    assert len({row.truth for row in of_truth}) == len(of_truth)
    assert len({row.found for row in of_found}) == len(of_found)
    assert sum(not row.matched for row in of_truth) == scores.at[0].missed
    assert sum(not row.matched for row in of_found) == scores.at[0].extra
    assert (got.counts()["split"], got.counts()["merged"]) == (scores.split, scores.merged)
    for row in of_found:
        assert row.centre == pytest.approx(np.argwhere(found == row.found).mean(0))
        assert row.voxels == (found == row.found).sum()


def test_rows_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(wrong(*example()))
    monkeypatch.setattr(module, "PIECE", 3)
    assert list(wrong(*example())) == whole


def test_wrong_settings_are_refused() -> None:
    for options in ({"threshold": 0.0}, {"poor": 1.5}, {"share": 0.0}):
        with pytest.raises(SettingsError):
            MistakeSettings(**options)
