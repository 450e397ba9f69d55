from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter

from bigcell.core.box import Box
from bigcell.core.lookup import Lookup
from bigcell.dynamics.settings import GROW_COUNT, GROW_STEPS, SEED_COUNT, DynamicsSettings
from bigcell.dynamics.sinks import EndHistogram, map_sinks


def random_counts(seed: int, shape: tuple[int, int, int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 30, shape) * (rng.random(shape) < 0.3)


def as_histogram(counts: np.ndarray) -> EndHistogram:
    position = np.flatnonzero(counts)
    return EndHistogram(position.astype(np.int64), counts.ravel()[position].astype(np.int64))


def plain_map(counts: np.ndarray, settings: DynamicsSettings) -> np.ndarray:
    """Territories by the definition: strict maxima of 5^n, then 5 steps of dilation over counts above 2.

    With Cellpose's ties every maximum is a seed, and of equal ones the last in raster order stands.
    """
    place, ties = np.arange(counts.size).reshape(counts.shape), settings.sampling == "cellpose"
    order = counts.astype(np.int64) * counts.size + (place if ties else counts.size - 1 - place)
    z = 1 if settings.planar else None
    high = maximum_filter(counts if ties else order, (z or 5, 5, 5), mode="constant", cval=-1)
    seeds = np.argwhere((counts > SEED_COUNT) & (high == (counts if ties else order)))
    owner = np.zeros(counts.shape, np.int64)
    for seed in sorted(seeds, key=lambda s: order[tuple(s)]):
        reached = np.zeros(counts.shape, bool)
        reached[tuple(seed)] = True
        for _ in range(GROW_STEPS):
            reached |= maximum_filter(reached, (z or 3, 3, 3)) & (counts > GROW_COUNT)
        owner[reached] = np.ravel_multi_index(tuple(seed), counts.shape) + 1
    return owner


kinds = st.builds(DynamicsSettings, sampling=st.sampled_from(["centre", "cellpose"]), planar=st.booleans())


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([(1, 20, 25), (9, 11, 17), (14, 14, 14)]), kinds)
def test_map_equals_the_definition(seed: int, shape: tuple[int, int, int], kind: DynamicsSettings) -> None:
    counts = random_counts(seed, shape)
    sinks = map_sinks(as_histogram(counts), Box.of(shape), shape, kind)
    assert np.array_equal(sinks.value, plain_map(counts, kind).ravel()[sinks.key])


@settings(max_examples=20)
@given(st.integers(0, 10**6), kinds)
def test_maps_of_blocks_join_to_the_map_of_the_whole(seed: int, kind: DynamicsSettings) -> None:
    shape = (10, 22, 19)
    whole = as_histogram(random_counts(seed, shape))
    parts = [map_sinks(whole, core, shape, kind) for core in Box.of(shape).split((4, 7, 8))]
    joined, plain = Lookup.join(parts), map_sinks(whole, Box.of(shape), shape, kind)
    assert np.array_equal(joined.key, plain.key)
    assert np.array_equal(joined.value, plain.value)


def test_histograms_add() -> None:
    one = EndHistogram.of(np.array([1, 4, 1]))
    both = EndHistogram.sum([one, one])
    assert both.position.tolist() == [1, 4]
    assert both.count.tolist() == [4, 2]


def test_counting_equals_sorting() -> None:
    extent = (40, 3000, 5000)
    zyx = np.random.default_rng(0).integers((3, 500, 4000), (9, 520, 4030), (5000, 3))
    positions = np.ravel_multi_index(tuple(zyx.T), extent)
    counted, plain = EndHistogram.of(positions, extent), EndHistogram.of(positions)
    assert np.array_equal(counted.position, plain.position)
    assert np.array_equal(counted.count, plain.count)
    far = EndHistogram.of(np.array([1, 40 * 3000 * 5000 - 1]), extent)  # a span too wide to count in
    assert far.position.tolist() == [1, 40 * 3000 * 5000 - 1]
