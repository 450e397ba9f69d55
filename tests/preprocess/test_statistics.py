from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bigcell.core.errors import InputError
from bigcell.preprocess import statistics as s

dtypes = st.sampled_from(["u1", "i1", "u2", "i2", "i4", "u4", "f4"])
volumes = dtypes.flatmap(lambda t: hnp.arrays(
    t, st.tuples(st.integers(1, 4), st.integers(1, 30)),
    elements=hnp.from_dtype(np.dtype(t), allow_nan=False, allow_infinity=False)))  # fmt: skip
pairs = st.sampled_from([(1.0, 99.0), (0.0, 100.0), (30.0, 50.0), (2.5, 99.9)])


def searched(values: np.ndarray, pair: tuple[float, float], pieces: int, *, planes: bool) -> s.Ranges:
    """Percentiles of `values` (plane, pixel) from parts of it, over all or plane by plane."""
    whole = values if planes else values.reshape(1, -1)
    parts = [p for p in np.array_split(whole, pieces, axis=1) if p.size]
    search = s.Search.start(values.dtype, [whole.shape[1]] * len(whole), pair, digit=8 if planes else 16)
    while not search.done:
        search = search.advance(np.sum([s.count(p, search) for p in parts], axis=0))
    ends = np.stack([s.extremes(p) for p in parts])
    joined = np.stack([ends[..., 0].min(0), ends[..., 1].max(0)], 1)
    return s.ranges_of(search, joined, values.dtype, [whole.shape[1]] * len(whole), pair)


@settings(max_examples=150)
@given(volumes, pairs, st.integers(1, 5), st.booleans())
def test_percentiles_of_parts_are_numpys_of_the_whole(
    values: np.ndarray, pair: tuple[float, float], pieces: int, planes: bool
) -> None:
    found = searched(values, pair, pieces, planes=planes)
    whole = (values if planes else values.reshape(1, -1)).astype(np.float64)
    low, high = np.percentile(whole, pair, axis=1)
    scale = np.abs(whole).max()
    np.testing.assert_allclose(found.low, low, atol=1e-9 * scale)
    np.testing.assert_allclose(found.high, high, atol=1e-9 * scale)
    assert np.array_equal(found.least, whole.min(1))
    assert np.array_equal(found.most, whole.max(1))


@settings(max_examples=50)
@given(volumes, pairs)
def test_measured_in_memory_is_what_the_search_finds(values: np.ndarray, pair: tuple[float, float]) -> None:
    at_once, searching = s.measure(values, pair), searched(values, pair, 1, planes=True)
    for name in ("low", "high", "least", "most"):
        assert np.array_equal(getattr(at_once, name), getattr(searching, name))


@settings(max_examples=60)
@given(volumes, pairs, st.integers(1, 5), st.integers(0, 99), st.sampled_from([0.1, 0.5, 1.0]))
def test_percentiles_of_what_is_inside_are_numpys_of_that(
    values: np.ndarray, pair: tuple[float, float], pieces: int, seed: int, share: float
) -> None:
    inside = np.random.default_rng(seed).random(values.shape) < share
    totals = inside.sum(1)
    both = list(zip(np.array_split(values, pieces, 1), np.array_split(inside, pieces, 1), strict=True))
    search = s.Search.start(values.dtype, totals, pair, digit=8)
    while not search.done:
        search = search.advance(np.sum([s.count_inside(v, i, search) for v, i in both], axis=0))
    ends = np.stack([s.extremes_inside(v, i) for v, i in both])
    joined = np.stack([ends[..., 0].min(0), ends[..., 1].max(0)], 1)
    found = s.ranges_of(search, joined, values.dtype, totals, pair)
    for r in np.flatnonzero(totals):  # what is said of the others means nothing
        wanted = s.measure(values[r][inside[r]][None], pair)
        for name in ("low", "high", "least", "most"):
            assert getattr(found, name)[r] == getattr(wanted, name)[0]


def test_some_regions_count_into_the_columns_of_all() -> None:
    prefixes = np.array([[5, 5, 7, 7], [1, 2, 3, 4], [9, 9, 9, 9], [1, 1, 1, 8]])
    search = s.Search(prefixes, np.zeros((4, 4), np.int64), 16, 8, 8)
    every = search.slots
    for rows in (slice(0, 1), slice(2, 3), slice(2, 4), slice(0, 4)):
        some = search.part(rows).slots
        assert np.array_equal(some, every[rows, : some.shape[1]])
        assert (every[rows, some.shape[1] :] == -1).all()


def test_a_search_takes_one_pass_for_16_bits_and_two_for_32() -> None:
    for dtype, passes in (("u1", 1), ("u2", 1), ("i4", 2), ("f4", 2)):
        values, made = np.arange(60, dtype=dtype).reshape(1, -1), 0
        search = s.Search.start(values.dtype, [60], (1.0, 99.0))
        while not search.done:
            search, made = search.advance(s.count(values, search)), made + 1
        assert made == passes


def test_minus_zero_counts_as_zero() -> None:
    values = np.array([[-0.0, 0.0]], np.float32)
    assert np.count_nonzero(s.count(values, s.Search.start(values.dtype, [2], (1.0, 99.0)))) == 1


def test_ranks_are_exact_where_floats_are_not() -> None:
    assert s.position(10**18 + 1, 99.0) == (99 * 10**16, 0.0)


def test_integers_beyond_32_bits_are_refused() -> None:
    with pytest.raises(InputError, match="fit 32 bits"):
        s.words(np.array([2**40]))
