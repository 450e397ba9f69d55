"""Planes linked to objects: the sparse way equals the plain one, and the edges of Cellpose's rule."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bigcell.core.errors import InputError, SettingsError
from bigcell.core.lookup import Lookup
from bigcell.core.volume import Array
from bigcell.stitch.planes import continues, iter_linked, link_planes, overlap_counts


def plain(labels: Array, threshold: float) -> Array:
    """The rule with a table of all objects against all, as Cellpose writes it, but for ties and empty planes."""
    linked = labels.astype(np.int64)
    linked[0] = np.unique(labels[0], return_inverse=True)[1].reshape(labels[0].shape) + (labels[0].min() > 0)
    count = linked[0].max()
    for z in range(1, len(labels)):
        uppers = [int(i) for i in np.unique(labels[z]) if i]
        lowers = [int(i) for i in np.unique(labels[z - 1]) if i]
        iou = np.zeros((len(uppers), len(lowers)))
        for i, u in enumerate(uppers):
            for j, v in enumerate(lowers):
                both = ((labels[z] == u) & (labels[z - 1] == v)).sum()
                iou[i, j] = both / ((labels[z] == u) | (labels[z - 1] == v)).sum()
        iou[iou < threshold] = 0
        for j in range(len(lowers)):
            best = iou[:, j].argmax() if uppers else 0
            iou[np.arange(len(uppers)) != best, j] = 0
        for i, u in enumerate(uppers):
            if lowers and iou[i].max() > 0:
                below = linked[z - 1][labels[z - 1] == lowers[iou[i].argmax()]]
                linked[z][labels[z] == u] = below[0]
            else:
                count += 1
                linked[z][labels[z] == u] = count
    return linked


def blobs(rng: np.random.Generator, shape: tuple[int, int, int], density: float = 0.5) -> Array:
    """Smooth blobs in each plane, labelled plane by plane; alike from plane to plane."""
    field = ndimage.gaussian_filter(rng.normal(size=shape), (1.0, 2.0, 2.0))
    return np.stack([ndimage.label(plane > np.quantile(field, density))[0] for plane in field])


@given(st.integers(0, 10**6), st.sampled_from([0.01, 0.1, 0.25, 0.5, 1.0]), st.booleans())
@settings(max_examples=40)
def test_sparse_linking_equals_the_plain_rule(seed: int, threshold: float, noisy: bool) -> None:
    rng = np.random.default_rng(seed)
    if noisy:
        labels = rng.integers(0, 5, (rng.integers(1, 7), rng.integers(1, 7), rng.integers(1, 7)))
    else:
        labels = blobs(rng, (5, 24, 24))
    labels[rng.random(len(labels)) < 0.2] = 0
    assert np.array_equal(link_planes(labels, threshold), plain(labels, threshold))


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_names_within_a_plane_do_not_matter_but_for_the_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = blobs(rng, (4, 20, 20))
    renamed = np.where(labels > 0, 3**30 + labels.astype(np.uint64) * 10**12, 0).astype(np.uint64)
    assert np.array_equal(link_planes(renamed, 0.25), link_planes(labels, 0.25))


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_counts_of_blocks_add_up_to_those_of_the_plane(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lower, upper = rng.integers(0, 6, (2, 9, 11))
    cut = rng.integers(0, 12)
    parts = [overlap_counts(lower[:, s], upper[:, s]) for s in (slice(None, cut), slice(cut, None))]
    total: dict[tuple[int, int], int] = {}
    for part in parts:
        for a, b, n in zip(*part, strict=True):
            total[int(a), int(b)] = total.get((int(a), int(b)), 0) + int(n)
    a, b, n = overlap_counts(lower, upper)
    assert dict(zip(zip(a.tolist(), b.tolist(), strict=True), n.tolist(), strict=True)) == total
    assert list(zip(a, b, strict=True)) == sorted(zip(a, b, strict=True))


def test_many_more_pairs_than_the_first_table_holds() -> None:
    lower = np.arange(1, 5001).reshape(50, 100)
    upper = lower[::-1].copy()
    a, b, n = overlap_counts(lower, upper)
    assert len(a) == 5000
    assert (n == 1).all()
    assert np.array_equal(a, np.arange(1, 5001))
    assert np.array_equal(b, upper.ravel())


def test_an_empty_plane_parts_the_objects() -> None:
    disc = np.zeros((6, 6), np.int32)
    disc[1:5, 1:5] = 1
    empty = np.zeros_like(disc)
    linked = link_planes(np.stack([disc, empty, disc, disc, empty, empty, disc]))
    assert linked[[0, 2, 3, 6], 2, 2].tolist() == [1, 2, 2, 3]
    assert not linked[[1, 4, 5]].any()
    assert not link_planes(np.zeros((3, 4, 5), np.uint16)).any()
    assert link_planes(np.zeros((0, 4, 5), np.uint16)).shape == (0, 4, 5)


def test_of_two_halves_that_overlap_equally_well_one_continues() -> None:
    labels = np.array([[[1, 1, 1, 1]], [[1, 1, 2, 2]]])
    assert link_planes(labels, 0.25).tolist() == [[[1, 1, 1, 1]], [[1, 1, 2, 2]]]


def test_the_threshold_counts_itself() -> None:
    labels = np.array([[[1, 1, 1, 1]], [[1, 0, 0, 0]]])
    assert link_planes(labels, 0.25).max() == 1
    assert link_planes(labels, 0.26).max() == 2


def test_an_object_continues_only_one_that_has_no_better() -> None:
    lower, upper = Lookup(np.array([1, 2]), np.array([10, 10])), Lookup(np.array([5, 6]), np.array([10, 10]))
    pairs = (np.array([1, 1, 2]), np.array([5, 6, 5]), np.array([8, 7, 5]))
    # 6 overlaps 1 well, but 1 has a better one; 2 has only 5, which has a better one.
    assert continues(lower, upper, pairs, 0.25).tolist() == [1, 0]


def test_no_pairs_and_no_objects() -> None:
    none = np.zeros(0, np.int64)
    areas = Lookup(np.array([4]), np.array([3]))
    assert continues(Lookup(none, none), areas, (none, none, none), 0.5).tolist() == [0]
    assert continues(areas, Lookup(none, none), (none, none, none), 0.5).tolist() == []


def test_memory_is_flat_in_the_number_of_planes() -> None:
    disc = np.zeros((200, 200), np.uint32)
    disc[20:180, 20:180] = np.arange(1, 1601, dtype=np.uint32).reshape(40, 40).repeat(4, 0).repeat(4, 1)

    def planes(n: int) -> Iterator[Array]:
        for i in range(n):
            yield np.roll(disc, i, 0)

    def peak(n: int) -> int:
        tracemalloc.start()
        for _ in iter_linked(planes(n), 0.25):
            pass
        seen = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return seen

    peak(2)
    assert peak(40) < 1.2 * peak(5)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.01, float("nan")])
def test_thresholds_that_mean_nothing_are_refused(threshold: float) -> None:
    with pytest.raises(SettingsError, match="stitch_threshold"):
        link_planes(np.zeros((2, 3, 3), int), threshold)


def test_wrong_labels_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(z, y, x\)"):
        link_planes(np.zeros((5, 5), np.int32))
    with pytest.raises(InputError, match="float64"):
        link_planes(np.zeros((2, 5, 5)))
    with pytest.raises(InputError, match="-3"):
        link_planes(np.full((2, 5, 5), -3))
    with pytest.raises(InputError, match="one shape"):
        overlap_counts(np.zeros((2, 3), int), np.zeros((3, 2), int))
    with pytest.raises(InputError, match="2\\*\\*63"):
        overlap_counts(np.full((2, 3), 2**63, np.uint64), np.zeros((2, 3), np.uint64))
