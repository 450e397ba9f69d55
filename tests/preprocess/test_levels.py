from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.preprocess.levels import LevelMap, apply_levels, join

shapes = st.tuples(st.integers(1, 6), st.integers(1, 30), st.integers(1, 30))
grids = st.tuples(st.booleans(), st.integers(1, 4), st.integers(1, 5))


def some_map(extent: tuple[int, int, int], by_plane: bool, rows: int, columns: int) -> LevelMap:
    rng = np.random.default_rng(1)
    shape = (2, extent[0] if by_plane else 1, rows, columns)
    low = rng.random(shape, np.float32)
    return LevelMap(low, low + 1 + rng.random(shape, np.float32), extent[1:])


@settings(max_examples=60)
@given(shapes, grids, st.booleans(), st.data())
def test_a_box_is_that_box_of_the_whole(
    extent: tuple[int, int, int], grid: tuple[bool, int, int], invert: bool, data: st.DataObject
) -> None:
    levels = some_map(extent, *grid)
    image = np.random.default_rng(0).integers(0, 9, (2, *extent)).astype(np.uint16)
    whole = apply_levels(image, levels, (0, 0, 0), invert=invert)
    start = tuple(data.draw(st.integers(0, n - 1)) for n in extent)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, extent, strict=True))
    box = (slice(None), *(slice(a, b) for a, b in zip(start, stop, strict=True)))
    assert np.array_equal(apply_levels(image[box], levels, start, invert=invert), whole[box])


def plain(image: np.ndarray, levels: LevelMap, extent: tuple[int, int, int]) -> np.ndarray:
    """The definition, in float64: levels between the centres of tiles by numpy's interpolation, an axis at a time."""

    def spread(values: np.ndarray) -> np.ndarray:
        for axis, n in ((2, extent[1]), (3, extent[2])):
            knots = (np.arange(values.shape[axis]) + 0.5) * n / values.shape[axis] - 0.5
            values = np.apply_along_axis(lambda v, k=knots, n=n: np.interp(np.arange(n), k, v), axis, values)
        return values

    low, high = spread(levels.low.astype(float)), spread(levels.high.astype(float))
    return (image - low) / (high - low)


@settings(max_examples=60)
@given(shapes, grids)
def test_levels_are_interpolated_between_the_centres_of_tiles(
    extent: tuple[int, int, int], grid: tuple[bool, int, int]
) -> None:
    levels = some_map(extent, *grid)
    image = np.random.default_rng(0).integers(0, 9, (2, *extent)).astype(np.uint16)
    found = apply_levels(image, levels, (0, 0, 0))
    np.testing.assert_allclose(found, plain(image, levels, extent), atol=2e-6)


def test_every_dtype_is_taken() -> None:
    levels = LevelMap.of_volume(np.array([1.0]), np.array([3.0]))
    for dtype in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"):
        found = apply_levels(np.full((1, 1, 2, 2), 2, dtype), levels, (0, 0, 0))
        assert found.dtype == np.float32
        assert (found == 0.5).all()


def test_joined_maps_are_the_map_of_all_planes() -> None:
    extent = (6, 8, 9)
    levels = some_map(extent, True, 2, 3)
    image = np.random.default_rng(0).integers(0, 9, (2, *extent)).astype(np.uint16)
    parts = [LevelMap(levels.low[:, a : a + 2], levels.high[:, a : a + 2], extent[1:], a) for a in (2, 4)]
    part = apply_levels(image[:, 3:6], join(parts), (3, 0, 0))
    assert np.array_equal(part, apply_levels(image, levels, (0, 0, 0))[:, 3:6])
