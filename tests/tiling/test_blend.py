from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bigcell.tiling.blend import axis_weights, quantise, taper
from bigcell.tiling.lattice import AxisTiles, TileSettings


@given(st.integers(1, 700), st.sampled_from([32, 64, 224]))
def test_weights_sum_to_one_everywhere(length: int, size: int) -> None:
    axis = AxisTiles.over(length, TileSettings(size))
    total = np.zeros(max(length, axis.size))
    for start, weights in zip(axis.starts, axis_weights(axis), strict=True):
        total[start : start + axis.size] += weights
    np.testing.assert_allclose(total[:length], 1.0, rtol=1e-12)


@given(st.integers(1, 900), st.sampled_from([48, 224]), st.booleans(), st.booleans())
def test_weights_of_cellpose_tiles_sum_to_one(length: int, size: int, fixed: bool, mirrored: bool) -> None:
    axis = AxisTiles.over(length, TileSettings(size, 0.1, layout="cellpose", fixed=fixed, mirrored=mirrored))
    total = np.zeros(length + 2 * size)
    for start, weights in zip(axis.starts, axis_weights(axis), strict=True):
        total[start + size : start + size + axis.size] += weights
    np.testing.assert_allclose(total[size : size + length], 1.0, rtol=1e-12)


def test_the_taper_of_a_short_cellpose_tile_is_the_middle_of_a_long_one() -> None:
    np.testing.assert_array_equal(taper(100, 224), taper(224)[62:162])


def test_quantise_clips_and_rounds() -> None:
    assert quantise(np.array([0.5, -9.0, 1 / 3]), 10, 4.0).tolist() == [512, -4096, 341]
