"""Matching of two labellings: worked examples, blocks as the whole, and the best of competing pairs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.metrics.matching import compare, match, pooled
from bigcell.metrics.overlaps import Overlaps, merged, overlaps

RandomPair = Callable[..., tuple[Array, Array]]


def test_a_worked_example() -> None:
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 0, 3, 3]])
    found = np.array([[5, 5, 5, 0, 0, 9, 9, 9, 0, 0]])
    got = compare(truth, found)
    assert got.ids.tolist() == [[1, 5], [2, 9]]
    assert got.ious == pytest.approx([3 / 4, 2 / 3])
    assert (got.n_truth, got.n_found, got.matched) == (3, 2, 2)
    assert got.precision == 1
    assert got.recall == pytest.approx(2 / 3)
    assert got.f1 == pytest.approx(4 / 5)
    assert got.average_precision == pytest.approx(2 / 3)
    assert got.mean_iou == pytest.approx(17 / 24)
    assert got.panoptic_quality == pytest.approx(17 / 24 * 4 / 5)
    assert (got.missed, got.extra) == (1, 0)
    strict = compare(truth, found, threshold=0.7)
    assert strict.matched == 1
    assert strict.average_precision == pytest.approx(1 / 4)


@pytest.mark.parametrize("seed", range(5))
def test_a_labelling_agrees_with_itself_under_other_names(seed: int, random_pair: RandomPair) -> None:
    truth, _ = random_pair(seed)
    renamed = np.where(truth > 0, 1000 - truth, 0).astype(np.uint64)
    got = compare(truth, renamed, threshold=1.0)
    assert got.average_precision == got.mean_iou == got.f1 == 1


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_blocks_add_up_to_the_whole(random_pair: RandomPair, seed: int) -> None:
    truth, found = random_pair(seed)
    whole = overlaps(truth, found)
    parts = [
        overlaps(truth[z : z + 2, :, x : x + 3], found[z : z + 2, :, x : x + 3]) for z in (4, 0, 2) for x in (0, 3, 6)
    ]
    for sum_ in (merged(parts), parts[0] + merged(parts[1:])):
        for name in ("truth", "found", "voxels"):
            assert np.array_equal(getattr(sum_, name), getattr(whole, name))
    assert whole.voxels.sum() == truth.size


@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.1, 0.3, 0.5]))
@settings(max_examples=60)
def test_the_matching_is_the_best_there_is(random_pair: RandomPair, seed: int, threshold: float) -> None:
    truth, found = random_pair(seed)
    got = compare(truth, found, threshold=threshold)
    ids_a, ids_b = np.unique(truth[truth > 0]), np.unique(found[found > 0])
    iou = np.array(
        [[((truth == a) & (found == b)).sum() / ((truth == a) | (found == b)).sum() for b in ids_b] for a in ids_a]
    )
    iou = np.where(iou >= threshold, iou, 0).reshape(len(ids_a), len(ids_b))
    if len(ids_a) > len(ids_b):
        iou = iou.T
    ways = [iou[range(len(iou)), list(p)] for p in permutations(range(iou.shape[1]), len(iou))]
    best = max(((way > 0).sum(), way.sum()) for way in ways)
    assert (got.matched, got.ious.sum()) == (best[0], pytest.approx(best[1]))
    assert len(set(got.ids[:, 0])) == len(set(got.ids[:, 1])) == got.matched


def test_more_pairs_win_over_one_better_pair() -> None:
    # IoU: (1, 10) 6/10, (1, 20) 3/13, (2, 10) 3/13; greedy would take the first and leave the others alone
    shared = Overlaps(*(np.array(c) for c in ([1, 1, 2, 2], [10, 20, 10, 0], [6, 3, 3, 1])))
    got = match(shared, threshold=0.2)
    assert got.ids.tolist() == [[1, 20], [2, 10]]


def test_nothing_agrees_with_nothing() -> None:
    nothing = np.zeros((2, 3, 3), np.uint32)
    empty = compare(nothing, nothing)
    assert (empty.average_precision, empty.f1, empty.mean_iou, empty.panoptic_quality) == (1, 1, 0, 1)
    missed = compare(nothing + 1, nothing)
    assert (missed.recall, missed.average_precision, missed.f1) == (0, 0, 0)
    assert merged([]).voxels.size == 0
    assert match(merged([])).n_truth == 0


def test_large_ids_are_kept_exact() -> None:
    big = np.array([2**63 + 3, 2**63 + 3, 0], np.uint64)
    got = compare(big, big)
    assert got.ids.tolist() == [[2**63 + 3, 2**63 + 3]]


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(InputError, match="shapes"):
        overlaps(np.zeros((2, 2), int), np.zeros((2, 3), int))
    with pytest.raises(InputError, match="float"):
        overlaps(np.zeros((2, 2)), np.zeros((2, 2), int))
    with pytest.raises(InputError, match="hold -1"):
        overlaps(np.full((2, 2), -1), np.zeros((2, 2), int))
    with pytest.raises(InputError, match="threshold"):
        compare(np.zeros((2, 2), int), np.zeros((2, 2), int), threshold=0)


def test_images_pooled_count_as_one_image_of_all_their_cells(random_pair: RandomPair) -> None:
    pairs = [random_pair(seed) for seed in range(3)]
    shifted = [[np.where(labels > 0, labels + 1000 * k, 0) for labels in pair] for k, pair in enumerate(pairs)]
    whole = compare(*(np.concatenate(labels) for labels in zip(*shifted, strict=True)))
    got = pooled([compare(*pair) for pair in pairs])
    assert (got.n_truth, got.n_found, got.matched) == (whole.n_truth, whole.n_found, whole.matched)
    assert got.mean_iou == pytest.approx(whole.mean_iou)
    assert 0 < got.matched < got.n_truth


def test_what_cannot_be_pooled_is_refused(random_pair: RandomPair) -> None:
    truth, found = random_pair(0)
    with pytest.raises(InputError, match="at least one"):
        pooled([])
    with pytest.raises(InputError, match=r"0\.5, 0\.7"):
        pooled([compare(truth, found, threshold=t) for t in (0.5, 0.7)])
