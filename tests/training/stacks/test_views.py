"""Views: which voxels a pixel of a plane shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigcell.core.box import Box
from bigcell.core.volume import ArrayVolume
from bigcell.training.stacks.views import View, read_plane, views_of

VOXELS = np.arange(6 * 7 * 8).reshape(6, 7, 8)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_of_a_box(axis: int) -> None:
    view = View(Box((1, 2, 3), (5, 6, 8)), axis)
    inner = VOXELS[1:5, 2:6, 3:8]
    rows, columns = view.shape
    for index in range(view.count):
        plane = read_plane(ArrayVolume(VOXELS), view, index, (0, rows), (0, columns))
        assert np.array_equal(plane[0], inner.take(index, axis))


@given(st.integers(1, 40), st.floats(0.5, 6))
def test_pixels_are_spread_evenly_over_voxels(planes: int, anisotropy: float) -> None:
    view = View(Box.of((planes, 9, 9)), 1, anisotropy)
    rows = view.rows(0, view.shape[0])
    assert abs(view.shape[0] - planes * anisotropy) <= max(0.5, 1 - planes * anisotropy) + 1e-9
    assert rows.min() >= 0
    assert rows.max() <= planes - 1
    assert np.all(np.diff(rows) >= 0)
    middle = view.to_voxels(np.array([planes * anisotropy / 2 - 0.5, 3.0]))
    assert middle[0] == pytest.approx((planes - 1) / 2)


def test_a_thin_box_is_seen_from_one_side() -> None:
    assert [v.axis for v in views_of(Box.of((60, 60, 60)), 1.0, 17)] == [0, 1, 2]
    assert [v.axis for v in views_of(Box.of((60, 60, 1)), 1.0, 17)] == [2]
    assert [v.axis for v in views_of(Box.of((8, 60, 60)), 1.0, 17)] == [0]
    assert [v.axis for v in views_of(Box.of((8, 60, 60)), 3.0, 17)] == [0, 1, 2], "24 rows are enough for a cell"
    assert [v.axis for v in views_of(Box.of((1, 10, 10)), 1.0, 17)] == [0], "of small ones the largest"
