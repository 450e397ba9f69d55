from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve, find_objects, generate_binary_structure

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.flows.compare import flow_error, flow_errors
from bigcell.testing.flows import FlowLattice


def plain_error(mask: np.ndarray, flow: np.ndarray) -> float:
    """The definition, in whole arrays: diffuse from the voxel nearest the centroid, compare with the gradient."""
    place = np.argwhere(mask)
    box = tuple(slice(a, b) for a, b in zip(place.min(0), place.max(0) + 1, strict=True))
    flat = mask[box].shape[0] == 1
    inside = np.pad(mask[box], ((0, 0) if flat else (1, 1), (1, 1), (1, 1)))
    place = np.argwhere(inside)
    centre = tuple(place[np.argmin(((place - place.mean(0)) ** 2).sum(1).round(9))])
    near = np.ones((1, 3, 3)) if flat else generate_binary_structure(3, 1).astype(float)
    heat = np.zeros(inside.shape)
    extent = sum(mask[box].shape)
    for _ in range(2 * extent + (6 if flat else 2)):  # a plane's depth of 1 counts in `extent`
        heat[centre] += 1
        heat = convolve(heat, near / near.sum(), mode="constant") * inside
    want = np.stack([np.gradient(heat, axis=a) if heat.shape[a] > 1 else np.zeros(heat.shape) for a in range(3)])
    want /= 1e-60 + np.sqrt((want**2).sum(0))
    crop = (slice(None) if flat else slice(1, -1), slice(1, -1), slice(1, -1))
    apart = (
        want[(slice(None), *crop)] - flow[(slice(None), *box)] * np.array([0 if flat else 1, 1, 1])[:, None, None, None]
    )
    return float((apart**2).sum(0)[mask[box]].mean())


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([(1, 14, 11), (6, 7, 9), (1, 1, 20), (8, 1, 9)]))
def test_equal_to_the_plain_definition(seed: int, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < 0.7
    mask[0, 0, 0] = True
    flow = rng.normal(size=(3, *shape)).astype(np.float32)
    assert flow_error(mask, flow) == pytest.approx(plain_error(mask, flow), rel=1e-5, abs=1e-6)


def test_only_the_object_itself_counts() -> None:
    """Neighbours that touch it, room around it and other numbers change no bit of its error."""
    lattice = FlowLattice((1, 60, 60), diameter=12, fill=0.8, noise=0.8)
    box = Box.of(lattice.extent)
    _, labels = np.unique(lattice.truth(box), return_inverse=True)
    labels, flow = labels.reshape(box.shape), lattice.read(box)[:3] / 5
    every = flow_errors(labels, flow)
    for i, where in enumerate(find_objects(labels)):
        crop = tuple(slice(max(s.start - i % 3, 0), s.stop + i % 2) for s in where)
        assert flow_error(labels[crop] == i + 1, flow[(slice(None), *crop)]) == every[i]


@pytest.mark.parametrize("extent", [(1, 110, 110), (40, 44, 48)])
def test_right_cells_pass_and_wrong_ones_do_not(extent: tuple[int, int, int]) -> None:
    lattice = FlowLattice(extent, diameter=12, noise=0.0)
    box = Box.of(lattice.extent)
    _, labels = np.unique(lattice.truth(box), return_inverse=True)
    labels, flow = labels.reshape(box.shape), lattice.read(box)[:3] / 5
    inner = [
        all((s.start > 0 and s.stop < n) or n == 1 for s, n in zip(where, extent, strict=True))
        for where in find_objects(labels)
    ]
    assert sum(inner) > 5  # those at the border point to centres beyond it
    assert flow_errors(labels, flow)[inner].max() < 0.4  # straight to a lattice point, not quite the centroid
    assert flow_errors(labels, -flow)[inner].min() > 2
    halved = labels * 2 - (np.indices(extent)[2] // 6 % 2 == 0) * (labels > 0)  # stripes cut each cell
    assert np.nanmean(flow_errors(halved, flow)) > 0.4


def test_a_long_thin_cell_is_right_to_its_ends() -> None:
    """Heat falls eightfold a pixel in a cell one pixel wide: at its ends too little is left to be squared."""
    flow = np.zeros((3, 1, 1, 301), np.float32)
    flow[2] = np.sign(150 - np.arange(301))
    assert flow_error(np.ones((1, 1, 301), bool), flow) < 1e-6


def test_integer_flows_are_their_own_floats() -> None:
    labels = np.ones((1, 9, 13), np.uint32)
    held = np.random.default_rng(0).integers(-1100, 1100, (3, 1, 9, 13)).astype(np.int16)
    assert flow_errors(labels, held)[0] == flow_errors(labels, held.astype(np.float32) / 1024)[0]


def test_a_number_that_is_not_there() -> None:
    labels = np.zeros((2, 5, 5), np.uint16)
    labels[1, 2, 1:4] = 3
    errors = flow_errors(labels, np.zeros((3, 2, 5, 5), np.float32))
    assert np.isnan(errors[:2]).all()
    assert errors[2] == pytest.approx(2 / 3)  # both ends miss a unit vector, the centre has none
    assert len(flow_errors(labels * 0, np.zeros((3, 2, 5, 5)))) == 0
    assert flow_error(np.zeros((1, 3, 3), bool), np.zeros((3, 1, 3, 3))) == 0.0


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="wanted integers of shape"):
        flow_errors(np.zeros((1, 4, 4), int), np.zeros((2, 1, 4, 4)))
