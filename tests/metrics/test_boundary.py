"""Boundaries: against distances measured plainly, by hand, and in blocks as in the whole."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import find_boundaries

from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.volume import Array
from bigcell.metrics.boundary import Ball, Boundary, boundary, edges, halo, within

SIZES = [(1.0, 1.0, 1.0), (2.5, 1.0, 1.0), (0.3, 2.0, 1.0)]
TOLERANCES = [0.0, 1.0, 1.5, 2.0, 3.2]


@given(st.integers(0, 10**6), st.sampled_from(SIZES), st.sampled_from([*TOLERANCES, sqrt(2), sqrt(3), 30.0]))
@settings(max_examples=60)
def test_near_is_what_distances_say(seed: int, size: tuple[float, float, float], tolerance: float) -> None:
    mask = np.random.default_rng(seed).random((7, 8, 11)) < 0.01
    wanted = distance_transform_edt(~mask, sampling=size) <= tolerance + 1e-9 if mask.any() else mask
    assert np.array_equal(within(mask, Ball(tolerance, size)), wanted)


@pytest.mark.parametrize("extent", [(6, 9, 8), (1, 12, 9), (5, 1, 1)])
def test_edges_are_inner_boundaries(
    extent: tuple[int, int, int], random_pair: Callable[..., tuple[Array, Array]]
) -> None:
    for labels in random_pair(3, extent):
        assert np.array_equal(edges(labels), find_boundaries(labels.astype(np.int64), connectivity=1, mode="inner"))


def test_by_hand() -> None:
    truth = np.array([[0, 1, 1, 1, 1, 1, 0, 0, 0, 0]])
    found = np.array([[0, 0, 1, 1, 1, 1, 1, 1, 0, 0]])
    got = boundary(truth, found, Ball(1.0, (1.0, 1.0)))
    assert got == Boundary(truth=2, found=2, truth_near=1, found_near=1)
    assert (got.precision, got.recall, got.f1) == (0.5, 0.5, 0.5)
    assert boundary(truth, found, Ball(2.0, (1.0, 1.0))).f1 == 1
    assert boundary(truth, found, Ball(0.0, (1.0, 1.0))).f1 == 0


def test_long_voxels_are_far_apart() -> None:
    truth, found = np.zeros((2, 6, 5, 5), np.int64)
    truth[2, 2, 2] = found[3, 2, 2] = 1
    assert boundary(truth, found, Ball(2.0)).f1 == 1
    assert boundary(truth, found, Ball(2.0, (3.0, 1.0, 1.0))).f1 == 0


@given(
    st.integers(0, 10**6),
    st.sampled_from(SIZES),
    st.sampled_from(TOLERANCES),
    st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 8)),
)
@settings(max_examples=40)
def test_blocks_add_up_to_the_whole(
    random_pair: Callable[..., tuple[Array, Array]],
    seed: int,
    size: tuple[float, float, float],
    tolerance: float,
    block: tuple[int, int, int],
) -> None:
    truth, found = random_pair(seed)
    ball, total = Ball(tolerance, size), Boundary()
    for core in Box.of(truth.shape).split(block):
        read = core.grow(halo(ball)) & Box.of(truth.shape)
        total += boundary(truth[read.slices], found[read.slices], ball, core=core.relative_to(read))
    assert total == boundary(truth, found, ball)


def test_nothing_agrees_with_nothing() -> None:
    nothing = np.zeros((2, 3, 3), int)
    assert boundary(nothing, nothing, Ball()).f1 == 1
    cell = nothing.copy()
    cell[0, 1, 1] = 1
    missed = boundary(cell, nothing, Ball())
    assert (missed.precision, missed.recall, missed.f1) == (1, 0, 0)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="tolerance -1"):
        Ball(-1)
    with pytest.raises(SettingsError, match="voxel sizes"):
        Ball(1, (0.0, 1.0, 1.0))
    with pytest.raises(InputError, match="one shape"):
        boundary(np.zeros((2, 2), int), np.zeros((2, 2), int), Ball())
