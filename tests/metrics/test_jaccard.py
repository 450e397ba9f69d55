"""Scores of whole labellings, against the definitions written out cell by cell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.volume import Array
from bigcell.metrics.jaccard import (
    aggregated_jaccard,
    aggregated_jaccard_one_to_one,
    foreground_iou,
    mean_best_iou,
    seg,
)
from bigcell.metrics.overlaps import overlaps
from bigcell.metrics.pairs import CellPairs

RandomPair = Callable[..., tuple[Array, Array]]


def pairs_of(truth: Array, found: Array) -> CellPairs:
    return CellPairs.of(overlaps(truth, found))


def ids(labels: Array) -> list[int]:
    return [int(i) for i in np.unique(labels) if i]


def iou(truth: Array, a: int, found: Array, b: int) -> float:
    return float(((truth == a) & (found == b)).sum() / ((truth == a) | (found == b)).sum())


def kumar(truth: Array, found: Array) -> float:
    """Algorithm 1 of the paper, line by line."""
    shared, either, used = 0, 0, set()
    for a in ids(truth):
        best = max(ids(found), key=lambda b: iou(truth, a, found, b), default=0)
        if best == 0 or iou(truth, a, found, best) == 0:
            either += (truth == a).sum()
            continue
        shared += ((truth == a) & (found == best)).sum()
        either += ((truth == a) | (found == best)).sum()
        used.add(best)
    either += sum((found == b).sum() for b in ids(found) if b not in used)
    return float(shared / either) if either else 1.0


@given(st.integers(0, 10**6))
@settings(max_examples=40)
def test_cell_by_cell(random_pair: RandomPair, seed: int) -> None:
    truth, found = random_pair(seed)
    found = np.where(found == seed % 6, 0, found)
    pairs = pairs_of(truth, found)
    assert aggregated_jaccard(pairs) == pytest.approx(kumar(truth, found))
    best = [max([iou(truth, a, found, b) for b in ids(found)], default=0) for a in ids(truth)]
    assert mean_best_iou(pairs) == pytest.approx(np.mean(best) if best else 1)
    held = [
        next(
            (iou(truth, a, found, b) for b in ids(found) if 2 * (found[truth == a] == b).sum() > (truth == a).sum()), 0
        )
        for a in ids(truth)
    ]
    assert seg(pairs) == pytest.approx(np.mean(held) if held else 1)
    assert foreground_iou(pairs) == pytest.approx(((truth > 0) & (found > 0)).sum() / ((truth > 0) | (found > 0)).sum())


def test_a_merge_is_counted_twice_by_kumar_and_once_by_cellpose() -> None:
    truth, found = np.array([[1, 1, 1, 2, 2]]), np.array([[3, 3, 3, 3, 3]])
    assert aggregated_jaccard(pairs_of(truth, found)) == pytest.approx(5 / 10)
    assert aggregated_jaccard_one_to_one(pairs_of(truth, found)) == pytest.approx(3 / 5)


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_swapping_twice_changes_nothing(random_pair: RandomPair, seed: int) -> None:
    pairs = pairs_of(*random_pair(seed))
    again, swapped = pairs.swapped().swapped(), pairs_of(*random_pair(seed)[::-1])
    for name in ("a", "b", "voxels", "iou"):
        assert np.array_equal(getattr(again, name), getattr(pairs, name))
        assert np.array_equal(getattr(pairs.swapped(), name), getattr(swapped, name))


def test_no_cell_at_all() -> None:
    nothing = pairs_of(np.zeros((2, 3), int), np.zeros((2, 3), int))
    for score in (aggregated_jaccard, aggregated_jaccard_one_to_one, foreground_iou, mean_best_iou, seg):
        assert score(nothing) == 1
    missed = pairs_of(np.ones((2, 3), int), np.zeros((2, 3), int))
    for score in (aggregated_jaccard, aggregated_jaccard_one_to_one, foreground_iou, mean_best_iou, seg):
        assert score(missed) == 0


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_the_best_partner_is_the_lowest_of_the_highest(random_pair: RandomPair, seed: int) -> None:
    truth, found = random_pair(seed, (2, 4, 6))
    pairs = pairs_of(truth, found)
    for cell, best in zip(ids(truth), pairs.best().tolist(), strict=True):
        partners = [b for b in ids(found) if iou(truth, cell, found, b) > 0]
        wanted = max(partners, key=lambda b: (iou(truth, cell, found, b), -b), default=None)
        assert wanted == (None if best < 0 else int(pairs.found.ids[pairs.b[best]]))
