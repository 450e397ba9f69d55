"""Nuclei in given cells: inside, in one piece, of the size asked for, whatever the cell's shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bigcell.synthetic import Tissue, place_nuclei
from bigcell.synthetic.nuclei import edge_distance
from bigcell.synthetic.tissue import pack

ONE = np.ones(3)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    planes=st.sampled_from((1, 2, 12)),
    z=st.sampled_from((0.5, 1.0, 3.0)),
    share=st.floats(0.05, 0.4),
)
def test_nuclei_lie_inside_in_one_piece(seed: int, planes: int, z: float, share: float) -> None:
    step, rng = np.array([z, 1.0, 1.0]), np.random.default_rng(seed)
    labels, _ = pack((planes, 30, 30), step, 10.0, Tissue(irregularity=0.9, elongation=2.0), rng)
    nuclei = place_nuclei(labels, step, rng, share=(share, share))
    assert nuclei.dtype == labels.dtype
    assert np.array_equal(nuclei[nuclei > 0], labels[nuclei > 0])
    for i in range(1, int(labels.max()) + 1):
        assert ndimage.label(nuclei == i)[1] == 1
        assert (nuclei == i).sum() <= max(1, share * (labels == i).sum() + 1)


def test_the_size_and_shape_follow_the_cell() -> None:
    labels = np.zeros((1, 40, 120), np.uint32)
    y, x = np.mgrid[:40, :120]
    labels[0, ((y - 20) / 12) ** 2 + ((x - 60) / 50) ** 2 < 1] = 1
    nucleus = place_nuclei(labels, ONE, np.random.default_rng(0), share=(0.2, 0.2)) == 1
    assert 0.15 < nucleus.sum() / (labels == 1).sum() < 0.25
    _, rows, columns = np.nonzero(nucleus)
    assert np.ptp(columns) > 1.2 * np.ptp(rows)
    assert edge_distance(labels, ONE)[nucleus].min() > 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 5)])
def test_a_cell_that_is_all_there_is(shape: tuple[int, int, int]) -> None:
    labels = np.ones(shape, np.uint32)
    assert np.isinf(edge_distance(labels, ONE)).all()
    assert place_nuclei(labels, ONE, np.random.default_rng(0)).sum() >= 1


def test_cells_one_voxel_wide_get_a_nucleus_all_the_same() -> None:
    labels = np.zeros((1, 3, 9), np.uint32)
    labels[0, 1] = 1
    assert (place_nuclei(labels, ONE, np.random.default_rng(0)) == 1).any()


def test_distances_are_in_the_unit_of_the_step() -> None:
    labels = np.zeros((5, 5, 9), np.uint32)
    labels[..., 4:] = 1
    assert edge_distance(labels, np.array([1.0, 1.0, 0.5]))[0, 0].tolist() == [1.5, 1.0, 0.5, 0, 0, 0.5, 1.0, 1.5, 2.0]
