from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.box import Box
from bigcell.preprocess.rescale import GridPair, flows_to_image, to_network

extents = st.tuples(st.integers(1, 9), st.integers(1, 20), st.integers(1, 20))
factors = st.tuples(*[st.floats(0.2, 3.0)] * 3)


@settings(max_examples=60)
@given(extents, factors, st.booleans(), st.data())
def test_a_resampled_box_is_that_box_of_the_resampled_volume(
    extent: tuple[int, int, int], scale: tuple[float, float, float], plain: bool, data: st.DataObject
) -> None:
    grids = GridPair.scaled(extent, scale, plain=plain)
    image = np.random.default_rng(0).random((2, *extent), np.float32)
    whole = to_network(image, Box.of(extent), Box.of(grids.network), grids)
    start = tuple(data.draw(st.integers(0, n - 1)) for n in grids.network)
    box = Box(start, tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, grids.network, strict=True)))
    source = grids.source_box(box)
    assert source in Box.of(extent)
    part = to_network(image[(slice(None), *source.slices)], source, box, grids)
    assert np.array_equal(part, whole[(slice(None), *box.slices)])


@settings(max_examples=60)
@given(extents, factors, st.data())
def test_flows_of_a_box_are_those_of_the_whole(
    extent: tuple[int, int, int], scale: tuple[float, float, float], data: st.DataObject
) -> None:
    grids = GridPair.scaled(extent, scale)
    flows = np.random.default_rng(0).integers(-4000, 4000, (4, *grids.network)).astype(np.int16)
    whole = flows_to_image(flows, Box.of(grids.network), Box.of(extent), grids)
    start = tuple(data.draw(st.integers(0, n - 1)) for n in extent)
    box = Box(start, tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, extent, strict=True)))
    source = grids.network_box(box)
    part = flows_to_image(flows[(slice(None), *source.slices)], source, box, grids)
    assert np.array_equal(part, whole[(slice(None), *box.slices)])


def plain_image(image: np.ndarray, grids: GridPair) -> np.ndarray:
    """The definition in float64: a triangle as wide as the larger voxel, its weights made to add up to 1."""
    out = image.astype(np.float64)
    for axis, (n, m) in enumerate(zip(grids.extent, grids.network, strict=True)):
        if n == m:
            continue
        reach = 1.0 if grids.plain else max(1.0, n / m)
        centre = (np.arange(m) + 0.5) * n / m - 0.5
        weights = np.maximum(0, 1 - np.abs(np.arange(n) - centre[:, None]) / reach)
        weights /= weights.sum(1, keepdims=True)
        out = np.moveaxis(np.tensordot(weights, out, (1, axis + 1)), 0, axis + 1)
    return out


def plain_flows(flows: np.ndarray, grids: GridPair) -> np.ndarray:
    """The definition in numpy's integers: linear along each axis, rounded each time, then the step of each axis."""
    out = flows.astype(np.int64)
    for axis, (n, m) in enumerate(zip(grids.extent, grids.network, strict=True)):
        place = np.clip(((2 * np.arange(n) + 1) * m - n) * 4096 // (2 * n), 0, (m - 1) * 4096)
        low, share = place // 4096, (place % 4096).reshape([-1 if i == axis + 1 else 1 for i in range(4)])
        high = np.minimum(low + 1, m - 1)
        mixed = np.take(out, low, axis + 1) * (4096 - share) + np.take(out, high, axis + 1) * share
        out = (mixed + 2048) >> 12
    steps = [*(round(s * 4096) for s in grids.steps), 4096]
    return np.stack([(v * s + 2048) >> 12 for v, s in zip(out, steps, strict=True)])


@settings(max_examples=60)
@given(extents, factors, st.booleans())
def test_both_ways_are_as_defined(extent: tuple[int, int, int], scale: tuple[float, float, float], plain: bool) -> None:
    grids = GridPair.scaled(extent, scale, plain=plain)
    rng = np.random.default_rng(0)
    image = rng.random((2, *extent), np.float32)
    found = to_network(image, Box.of(extent), Box.of(grids.network), grids)
    np.testing.assert_allclose(found, plain_image(image, grids), atol=1e-6)
    flows = rng.integers(-16000, 16000, (4, *grids.network)).astype(np.int16)
    flows[:3][np.array(extent) == 1] = 0  # nothing flows along an axis of one voxel
    whole = flows_to_image(flows, Box.of(grids.network), Box.of(extent), grids)
    assert np.array_equal(whole, plain_flows(flows, grids))


def test_a_ramp_stays_a_ramp_and_a_constant_a_constant() -> None:
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32), (1, 4, 6, 40))
    grids = GridPair((4, 6, 40), (4, 6, 20))
    out = to_network(ramp, Box.of((4, 6, 40)), Box.of((4, 6, 20)), grids)
    np.testing.assert_allclose(out[0, 0, 0, 1:-1], np.arange(1, 19) * 2 + 0.5, rtol=1e-5)
    flat = to_network(np.ones((1, 4, 6, 40), np.float32), Box.of((4, 6, 40)), Box.of((4, 6, 20)), grids)
    np.testing.assert_allclose(flat, 1.0, rtol=1e-6)


def test_directions_are_kept_where_voxels_are_long() -> None:
    grids = GridPair.scaled((10, 60, 60), (3.0, 1.0, 1.0))
    assert np.allclose(grids.steps, (1 / 3, 1, 1))
    flows = np.full((4, *grids.network), 900, np.int16)
    out = flows_to_image(flows, Box.of(grids.network), Box.of(grids.extent), grids)
    assert set(out[0].ravel()) == {300}
    assert set(out[1].ravel()) == {900}
    assert set(out[3].ravel()) == {900}
