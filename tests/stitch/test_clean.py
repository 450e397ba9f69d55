"""Claims: holes are filled by the innermost object that encloses them, and by one only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_fill_holes

from bigcell.core.errors import SettingsError
from bigcell.stitch.clean import CleanSettings, claims


def holes_of(labels: np.ndarray, name: int) -> np.ndarray:
    own = labels == name
    return binary_fill_holes(own) & ~own


def ring(labels: np.ndarray, name: int, low: int, high: int) -> None:
    labels[low:high, low:high] = name
    labels[low + 1 : high - 1, low + 1 : high - 1] = 0


def test_a_hole_with_a_cell_in_it_is_filled_around_the_cell() -> None:
    labels = np.zeros((9, 9), np.int64)
    ring(labels, 1, 0, 9)
    labels[4, 4] = 7
    assert claims(labels, 1, holes_of(labels, 1)).sum() == 48
    assert not claims(labels, 7, holes_of(labels, 7)).any()


def test_nested_rings_fill_each_their_own() -> None:
    labels = np.zeros((11, 11), np.int64)
    ring(labels, 5, 0, 11)
    ring(labels, 2, 3, 8)
    outer, inner = (claims(labels, n, holes_of(labels, n)) for n in (5, 2))
    assert inner.sum() == 9
    assert outer.sum() == 81 - 25
    assert not (outer & inner).any()


def test_two_rings_that_cross_at_corners_leave_the_hole_between_them() -> None:
    labels = np.zeros((10, 10), np.int64)
    path = [(0, 3), (1, 4), (2, 5), (3, 6), (4, 7), (5, 8), (6, 7), (7, 6), (8, 5), (7, 4), (6, 3), (5, 2), (4, 1)]
    for z, x in [*path, (3, 0), (2, 1), (1, 2)]:
        labels[z, x] = 1
    other = [(4, 6), (3, 7), (2, 8), (5, 7), (6, 8), (7, 9), (3, 9), (4, 9), (5, 9), (6, 9), (1, 9), (2, 9)]
    for z, x in [*other, (4, 5), (5, 6), (4, 4)]:
        labels[z, x] = labels[z, x] or 2
    one, two = (claims(labels, n, holes_of(labels, n)) for n in (1, 2))
    assert holes_of(labels, 1).any()
    assert not (one & two).any()


@settings(max_examples=300)
@given(
    arrays(np.int64, st.tuples(st.integers(3, 12), st.integers(3, 12)), elements=st.sampled_from([0, 1, 1, 2, 2, 3]))
)
def test_nobody_claims_what_another_claims(labels: np.ndarray) -> None:
    total = np.zeros(labels.shape, int)
    for name in np.unique(labels[labels > 0]):
        mine = claims(labels, int(name), holes_of(labels, int(name)))
        assert not (mine & (labels > 0)).any()
        assert not (mine & ~holes_of(labels, int(name))).any()
        total += mine
    assert total.max(initial=0) <= 1


@settings(max_examples=60)
@given(arrays(np.int64, (9, 9), elements=st.sampled_from([0, 1, 1, 1, 2, 2])))
def test_the_box_of_the_object_is_enough(labels: np.ndarray) -> None:
    where = np.argwhere(labels == 1)
    if not len(where):
        return
    box = tuple(slice(a, b + 1) for a, b in zip(where.min(0), where.max(0), strict=True))
    holes = holes_of(labels, 1)
    assert np.array_equal(claims(labels[box], 1, holes[box]), claims(labels, 1, holes)[box])


@pytest.mark.parametrize("name", ["flow_threshold", "flow_threshold_3d"])
def test_a_negative_threshold_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        CleanSettings(**{name: -1.0})
