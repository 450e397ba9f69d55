"""Flows from labels: unit vectors, each cell alone, and the way leads to the centre."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.flows.from_labels import flows_from_labels, plane_flows


def ellipsoids(seed: int, extent: tuple[int, int, int] = (20, 28, 30)) -> Array:
    """Some convex cells, cut against one another by planes (so still convex), touching."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.indices(extent), -1) * np.ones(3)
    centres = rng.uniform(0, extent, (9, 3))
    distance = np.stack([np.square(places - c).sum(-1) for c in centres])
    near = distance.argmin(0)
    return np.where(distance.min(0) < 9**2, near + 1, 0).astype(np.uint32)


def lengths(flows: Array) -> Array:
    return np.sqrt(np.square(flows.astype(np.float64)).sum(0))


def centre_of(cell: Array) -> Array:
    voxels = np.argwhere(cell)
    return voxels[np.square(voxels - voxels.mean(0)).sum(1).argmin()]


@pytest.mark.parametrize("seed", range(4))
def test_vectors_are_unit_in_cells_and_zero_elsewhere(seed: int) -> None:
    labels = ellipsoids(seed)
    size = lengths(flows_from_labels(labels))
    at_centre = np.zeros(labels.shape, bool)
    for name in np.unique(labels[labels > 0]):
        at_centre[tuple(centre_of(labels == name))] = True
    assert np.allclose(size[(labels > 0) & ~at_centre], 1, atol=1e-5)
    assert not size[(labels == 0) | at_centre].any()


@pytest.mark.parametrize("seed", range(4))
def test_neighbours_change_nothing(seed: int) -> None:
    labels = ellipsoids(seed)
    flows = flows_from_labels(labels)
    for name in np.unique(labels[labels > 0]):
        alone = flows_from_labels(np.where(labels == name, labels, 0))
        assert np.array_equal(np.where(labels == name, flows, 0), alone)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("extent", [(20, 28, 30), (1, 40, 40)])
def test_following_the_flow_ends_near_the_centre(seed: int, extent: tuple[int, int, int]) -> None:
    labels = ellipsoids(seed, extent)
    flows = flows_from_labels(labels)
    for name in np.unique(labels[labels > 0]):
        cell = labels == name
        at = np.argwhere(cell).astype(float)
        for _ in range(60):
            nearest = np.clip(np.round(at).astype(int), 0, np.array(extent) - 1)
            at = at + flows[:, *nearest.T].T * cell[tuple(nearest.T)][:, None]
        assert np.sqrt(np.square(at - centre_of(cell)).sum(1)).max() <= 2.5


def test_a_plane_has_no_flow_along_z_and_equals_the_plane_flow() -> None:
    labels = ellipsoids(0, (1, 40, 40))
    flows = flows_from_labels(labels)
    assert not flows[0].any()
    assert flows[1:].any()
    assert np.array_equal(flows, plane_flows(labels, 0))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_planes_flow_each_on_its_own(axis: int) -> None:
    labels = ellipsoids(1)
    flows = plane_flows(labels, axis)
    assert not flows[axis].any()
    i = labels.shape[axis] // 2
    turned = np.moveaxis(labels, axis, 0)[i : i + 1]
    others = [a for a in range(3) if a != axis]
    expected = flows_from_labels(turned)[1:, 0]
    assert np.array_equal(flows[others].take(i, axis + 1), expected)


def test_turning_the_axes_turns_the_flow() -> None:
    labels = ellipsoids(2)
    flows = flows_from_labels(labels)
    turned = flows_from_labels(np.ascontiguousarray(labels.transpose(2, 0, 1)))
    back = turned.transpose(0, 2, 3, 1)[[1, 2, 0]]
    close = np.abs(back - flows).max(0) < 1e-4
    assert close[labels > 0].mean() > 0.97  # another centre may be chosen where two are as near


def test_a_bent_cell_is_followed_round_the_bend() -> None:
    labels = np.zeros((1, 30, 30), np.int32)
    labels[0, 2:28, 2:7] = labels[0, 2:7, 2:28] = labels[0, 23:28, 2:28] = 1  # a C, its centroid in the hollow
    flows = flows_from_labels(labels)
    at = np.array([25.0, 26.0])  # the lower end
    for _ in range(80):
        y, x = np.round(at).astype(int)
        assert labels[0, y, x] == 1, "the way leaves the cell"
        at = at + flows[1:, 0, y, x]
    assert np.abs(at - (14, 6)).max() < 3  # the middle of the back, on the side of the hollow


def test_a_piece_out_of_reach_points_straight_at_the_centre() -> None:
    labels = np.zeros((1, 9, 30), np.int16)
    labels[0, 2:7, 2:9] = 7
    labels[0, 4, 25] = 7
    flows = flows_from_labels(labels)
    assert flows[:, 0, 4, 25] == pytest.approx((0, 0, -1))


def test_long_thin_cells_keep_their_direction() -> None:
    labels = np.zeros((1, 5, 900), np.int32)
    labels[0, 1:4, 5:895] = 3
    flows = flows_from_labels(labels)[2, 0, 2]
    assert np.allclose(flows[5:440], 1, atol=1e-3)
    assert np.allclose(flows[460:895], -1, atol=1e-3)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_any_labels_give_finite_unit_vectors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    extent = tuple(rng.integers(1, 9, 3))
    labels = rng.integers(0, 4, extent).astype(rng.choice([np.uint8, np.int32, np.uint64]))
    labels = labels * labels.dtype.type(rng.choice([1, 50]))
    size = lengths(flows_from_labels(labels))
    assert np.all((np.abs(size - 1) < 1e-5) | (size == 0))
    cells = len(np.unique(labels[labels > 0]))
    assert (size[labels > 0] == 0).sum() == cells  # only at each centre


def test_no_cells_no_flow() -> None:
    assert not flows_from_labels(np.zeros((2, 5, 5), np.uint32)).any()


def test_wrong_labels_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(z, y, x\)"):
        flows_from_labels(np.zeros((5, 5), np.int32))
    with pytest.raises(InputError, match="float64"):
        plane_flows(np.zeros((5, 5, 5)), 0)
