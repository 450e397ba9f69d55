"""Majority and mean against slow plain versions; no id is invented."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bigcell.core.axes import Spacing
from bigcell.io.ngff.pyramid import level_factors, reduce_image, reduce_labels

FACTORS = st.tuples(*[st.integers(1, 4)] * 3)


def boxes(shape, factor):
    for corner in np.ndindex(*(-(-n // f) for n, f in zip(shape, factor, strict=True))):
        yield corner, tuple(slice(c * f, (c + 1) * f) for c, f in zip(corner, factor, strict=True))


def plain_mode(values):
    counts = Counter(values.ravel().tolist())
    most = max(counts.values())
    return min((v for v, n in counts.items() if n == most), key=lambda v: (v == 0, v))


@settings(max_examples=60)
@given(data=st.data(), factor=FACTORS, dtype=st.sampled_from([np.uint32, np.uint64]))
def test_labels_equal_the_plain_majority(data, factor, dtype):
    shape = data.draw(st.tuples(*[st.integers(1, 6)] * 3))
    top = int(np.iinfo(dtype).max)
    labels = data.draw(arrays(dtype, shape, elements=st.sampled_from([0, 1, 2, 3, top])))
    reduced = reduce_labels(labels, factor)
    assert reduced.dtype == dtype
    for corner, box in boxes(shape, factor):
        assert reduced[corner] == plain_mode(labels[box])
    assert set(np.unique(reduced)) <= set(np.unique(labels))


def test_background_wins_with_more_but_loses_ties():
    assert reduce_labels(np.array([[[0, 0, 9, 0, 0, 4]]], np.uint32), (1, 1, 2)).tolist() == [[[0, 9, 4]]]
    assert reduce_labels(np.array([[[0, 0, 9]]], np.uint32), (1, 1, 3)).tolist() == [[[0]]]


def test_labels_of_any_memory_layout():
    labels = np.arange(4 * 4 * 4, dtype=np.uint32).reshape(4, 4, 4)
    assert np.array_equal(reduce_labels(labels.T, (2, 2, 2)), reduce_labels(labels.T.copy(), (2, 2, 2)))


@settings(max_examples=40)
@given(data=st.data(), factor=FACTORS, dtype=st.sampled_from([np.uint8, np.int16, np.uint16, np.float32]))
def test_images_equal_the_plain_mean(data, factor, dtype):
    shape = data.draw(st.tuples(*[st.integers(1, 6)] * 3))
    low = 0 if np.dtype(dtype).kind == "u" else -100
    image = data.draw(arrays(dtype, shape, elements=st.integers(low, 100)))
    reduced = reduce_image(image, factor)
    for corner, box in boxes(shape, factor):
        mean = image[box].astype(float).mean()
        assert reduced[corner] == pytest.approx(mean, abs=1e-4 if dtype == np.float32 else 0.5)


def test_the_brightest_integers_do_not_wrap():
    for dtype in (np.uint8, np.uint64, np.int64):
        top = np.full((2, 2, 2), np.iinfo(dtype).max, dtype)
        assert reduce_image(top, (2, 2, 2))[0, 0, 0] > np.iinfo(dtype).max // 2


def test_channels_stay_apart():
    image = np.stack([np.zeros((2, 2, 2), np.uint8), np.full((2, 2, 2), 8, np.uint8)])
    assert reduce_image(image, (2, 2, 2)).ravel().tolist() == [0, 8]


def test_z_waits_until_voxels_are_about_cubes():
    assert level_factors((100, 2048, 2048), Spacing(2, 0.5, 0.5)) == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2))
    assert level_factors((300, 600, 600), Spacing())[1:] == ((2, 2, 2), (2, 2, 2))
    assert level_factors((1, 600, 100), Spacing())[1:] == ((1, 2, 2), (1, 2, 2))
    assert level_factors((5, 200, 200), Spacing()) == ((1, 1, 1),)
