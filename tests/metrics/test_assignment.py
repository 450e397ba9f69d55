"""The best matching: every way of solving it gives the same sum, whatever the groups."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.volume import Array
from bigcell.metrics import assignment
from bigcell.metrics.assignment import assign


def pairs_of(seed: int, rows: int, columns: int, share: float) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    a, b = np.nonzero(rng.random((rows, columns)) < share)
    return a, b, rng.random(len(a)) * 0.9 + 0.05


def worth(taken: Array, iou: Array, threshold: float) -> tuple[int, float]:
    return int((iou[taken] >= threshold).sum()), float(iou[taken].sum())


@given(st.integers(0, 10**6), st.sampled_from([0.2, 0.5, 0.8]))
@settings(max_examples=60)
def test_nothing_is_better(seed: int, threshold: float) -> None:
    a, b, iou = pairs_of(seed, 3, 4, 0.6)
    best = (0, 0.0)
    for size in range(4):
        for chosen in map(list, combinations(range(len(a)), size)):
            if len(set(a[chosen])) == len(set(b[chosen])) == size:
                best = max(best, worth(np.array(chosen, int), iou, threshold))
    taken = assign(a, b, iou, threshold=threshold)
    assert len(set(a[taken])) == len(set(b[taken])) == len(taken)
    assert worth(taken, iou, threshold) == (best[0], pytest.approx(best[1]))


@pytest.mark.parametrize(("rows", "columns"), [(30, 40), (40, 30), (25, 25)])
@pytest.mark.parametrize("share", [0.05, 0.3])
def test_large_groups_are_solved_as_small_ones(
    rows: int, columns: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, iou = pairs_of(7, rows, columns, share)
    dense = worth(assign(a, b, iou, threshold=0.5), iou, 0.5)
    monkeypatch.setattr(assignment, "DENSE", 0)
    sparse = assign(a, b, iou, threshold=0.5)
    assert len(set(a[sparse])) == len(set(b[sparse])) == len(sparse)
    assert worth(sparse, iou, 0.5) == (dense[0], pytest.approx(dense[1]))


def test_many_pairs_without_rivals_take_no_time() -> None:
    a = np.arange(10**6)
    assert len(assign(a, a[::-1], np.full(10**6, 0.7), threshold=0.5)) == 10**6


def test_no_pair() -> None:
    nothing = np.empty(0, np.int64)
    assert assign(nothing, nothing, np.empty(0), threshold=0.5).size == 0
