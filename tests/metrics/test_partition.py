"""Variation of information and Rand's index, against scikit-image and by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import adapted_rand_error, variation_of_information

from bigcell.core.volume import Array
from bigcell.metrics.overlaps import overlaps
from bigcell.metrics.partition import in_true_cells, information, rand_f


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_as_scikit_image_has_it(random_pair: Callable[..., tuple[Array, Array]], seed: int) -> None:
    truth, found = (labels.astype(np.int64) for labels in random_pair(seed))
    shared = overlaps(truth, found)
    split, merge = variation_of_information(truth, found)
    got = information(shared)
    assert (got.split, got.merge, got.total) == pytest.approx((split, merge, split + merge))
    if truth.any():
        inside = in_true_cells(shared)
        split, merge = variation_of_information(truth, found, ignore_labels=[0])
        assert (information(inside).split, information(inside).merge) == pytest.approx((split, merge))
        assert 1 - rand_f(inside) == pytest.approx(adapted_rand_error(truth, found)[0])


def test_bits() -> None:
    truth = np.repeat([1, 2], 8)
    quartered = information(overlaps(truth, np.repeat([1, 2, 3, 4, 5, 6, 7, 8], 2)))
    assert (quartered.split, quartered.merge) == (2, 0), "every cell in four: two bits"
    fused = information(overlaps(truth, np.ones(16, int)))
    assert (fused.split, fused.merge) == (0, 1)


def test_nothing() -> None:
    empty = in_true_cells(overlaps(np.zeros(4, int), np.arange(4)))
    assert information(empty).total == 0
    assert rand_f(empty) == 1
    single = overlaps(np.array([1]), np.array([1]))
    assert rand_f(single) == 1
