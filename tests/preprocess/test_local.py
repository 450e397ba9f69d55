from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.box import Box
from bigcell.preprocess.local import PlaneTiles, complete, even_out, measure_tiles


@settings(max_examples=60)
@given(st.tuples(st.integers(1, 200), st.integers(1, 3000), st.integers(1, 3000)), st.integers(16, 2000))
def test_tiles_cover_every_plane_and_groups_hold_each_tile_once(extent: tuple[int, int, int], size: int) -> None:
    tiles = PlaneTiles(extent, size)
    for axis in (0, 1):
        starts, side, length = tiles.starts[axis], tiles.size[axis], extent[axis + 1]
        assert starts[0] == 0
        assert starts[-1] + side == length
        assert all(0 < b - a <= side for a, b in pairwise(starts))
    held = np.zeros((extent[0], *tiles.counts), np.int8)
    for group in map(tiles.group, range(len(tiles))):
        held[group.slices] += 1
        assert tiles.voxels(group) in Box.of(extent)
    assert (held == 1).all()


def test_groups_of_large_tiles_hold_few_planes() -> None:
    for size, limit in ((4096, 2**25), (1000, 2**25), (100, 2**25), (16, 2**25)):
        tiles = PlaneTiles((500, 9000, 9000), size)
        assert max(tiles.voxels(tiles.group(k)).size for k in range(len(tiles))) < limit


def test_tiles_hold_numpys_percentiles_of_their_pixels() -> None:
    image = np.random.default_rng(0).gamma(2, 300, (2, 90, 130)).astype(np.uint16)
    tiles = PlaneTiles(image.shape, 40)
    group = Box((1, 1, 0), (2, 3, 2))
    voxels = tiles.voxels(group)
    found = measure_tiles(image[voxels.slices], tiles, group, (1.0, 99.0))
    for j in (1, 2):
        for i in (0, 1):
            y, x = tiles.starts[0][j], tiles.starts[1][i]
            here = image[1, y : y + 40, x : x + 40]
            wanted = [*np.percentile(here, (1, 99)), here.min(), here.max()]
            np.testing.assert_allclose(found[:, 0, j - 1, i], wanted, rtol=1e-6)


@settings(max_examples=60)
@given(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 7)), st.floats(0.1, 0.95), st.integers(0, 99))
def test_empty_tiles_take_the_nearest_full_one(shape: tuple[int, int, int], share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    full = rng.random(shape) > share
    full[rng.integers(shape[0]), rng.integers(shape[1]), rng.integers(shape[2])] = True
    found, _ = complete(low, low + full)
    planes = np.flatnonzero(full.any((1, 2)))
    for p in range(shape[0]):
        source = p if full[p].any() else planes[np.abs(planes - p).argmin()]
        places = np.argwhere(full[source])
        for j in range(shape[1]):
            for i in range(shape[2]):
                nearest = places[((places - (j, i)) ** 2).sum(1).argmin()]
                assert found[p, j, i] == low[source, nearest[0], nearest[1]]


@pytest.mark.parametrize("one_for_all", [True, False])
def test_even_levels_stay_and_a_tile_that_stands_out_is_smoothed(one_for_all: bool) -> None:
    values = np.full((5, 8, 3), 7.0)
    assert np.allclose(even_out(values, one_for_all=one_for_all, smooth=1.0), 7)
    values[2, 4, 1] = 57
    found = even_out(values, one_for_all=one_for_all, smooth=1.0)
    assert found.shape == ((1 if one_for_all else 5), 8, 3)
    assert 7 < found.max() < 40
    assert np.allclose(found[..., [0, 2]], 7), "x is left to the interpolation"
