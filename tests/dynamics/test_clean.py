from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_fill_holes

from bigcell.core.errors import InputError
from bigcell.dynamics.clean import holes, voids


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([(1, 12, 15), (5, 9, 14), (9, 1, 30)]), st.sampled_from([0.5, 0.65, 0.8]))
def test_equal_to_the_plain_definition(seed: int, shape: tuple[int, int, int], density: float) -> None:
    mask = np.random.default_rng(seed).random(shape) < density
    plane_by_plane = np.stack([binary_fill_holes(plane) for plane in mask]) & ~mask
    assert np.array_equal(holes(mask), plane_by_plane)
    solid = binary_fill_holes(mask[0])[None] if len(mask) == 1 else binary_fill_holes(mask)
    assert np.array_equal(voids(mask), solid & ~mask)


def test_a_long_winding_corridor_is_no_hole() -> None:
    """A spiral with an open end: many turns of the flood, none of it enclosed; shut the end and all of it is."""
    mask = np.ones((1, 301, 301), bool)
    for i in range(0, 296, 4):  # rows joined left and right in turn
        mask[0, i + 2, 2:-2] = False
        mask[0, i + 2 : i + 7, -3 if (i // 4) % 2 else 2] = False
    mask[0, :3, 2] = False
    assert not holes(mask).any()
    mask[0, 0, 2] = True
    assert np.array_equal(holes(mask), ~mask)


def test_room_around_the_object_changes_nothing() -> None:
    mask = np.random.default_rng(3).random((4, 10, 11)) < 0.7
    padded = np.pad(mask, ((2, 1), (1, 3), (0, 5)))
    crop = (slice(2, 6), slice(1, 11), slice(0, 11))
    for enclosed in (holes, voids):
        assert np.array_equal(enclosed(padded)[crop], enclosed(mask))
        assert enclosed(padded).sum() == enclosed(mask).sum()


def test_a_tunnel_is_a_hole_in_each_plane_but_no_void() -> None:
    mask = np.ones((3, 5, 5), bool)
    mask[:, 2, 2] = False
    assert holes(mask).sum() == 3
    assert not voids(mask).any()


def test_labels_are_no_mask() -> None:
    with pytest.raises(InputError, match="wanted bool"):
        holes(np.ones((2, 3, 4), np.int32))
