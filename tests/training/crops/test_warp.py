"""Warped targets: those of the warped labels, but exact where cells touch and where the crop cuts them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.flows.from_labels import unit_flows
from bigcell.synthetic import sample_volume
from bigcell.training.crops.targets import make_tile
from bigcell.training.crops.warp import warp_image, warp_words


def words_of(labels: Array) -> Array:
    shape = labels.shape
    return make_tile(lambda box: labels[box.slices], shape, Box.of(shape), (False,) * 4)


def turned(turn: float, scale: float, flip: int, shape: tuple[int, int], side: int) -> tuple[Array, Array]:
    """A matrix, and the offset that puts the middle of a crop on the middle of a plane."""
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / scale
    matrix[:, 0] *= flip
    return matrix, (np.array(shape) - 1) / 2 - matrix @ np.full(2, (side - 1) / 2)


def angles(one: Array, other: Array, where: Array) -> Array:
    """Degrees between the vectors of two fields (2, h, w) where both have one."""
    where = where & np.any(one, 0) & np.any(other, 0)
    return np.degrees(np.arccos(np.clip((one * other).sum(0)[where], -1, 1)))


def fresh(labels: Array, matrix: Array, offset: Array, side: int) -> tuple[Array, Array]:
    """The warped labels, and flows made of them with a wide margin: (labels, flows) of the crop."""
    m = side
    wide = ndimage.affine_transform(labels, matrix, offset - matrix @ np.full(2, m), (3 * side,) * 2, order=0)
    inner = (slice(m, 2 * m),) * 2
    return wide[inner], unit_flows(wide[None])[1:, 0][(slice(None), *inner)]


@settings(max_examples=15)
@given(st.floats(0, 6.3), st.floats(0.5, 2), st.sampled_from([-1, 1]))
def test_warped_flows_are_those_of_the_warped_labels(turn: float, scale: float, flip: int) -> None:
    labels = sample_volume((1, 200, 200), diameter=36, seed=5).labels[0].astype(np.int64)
    matrix, offset = turned(turn, scale, flip, labels.shape, 64)
    flows, inside, known = warp_words(words_of(labels), matrix, offset, 64)
    warped, wanted = fresh(labels, matrix, offset, 64)
    assert (inside == (warped > 0)).mean() > 0.996, "a few pixels lie half way between two"
    assert known.all()
    size = np.hypot(*flows)
    assert np.all((np.abs(size - 1) < 1e-5) | (size == 0))
    assert not size[inside == 0].any()
    off = angles(flows, wanted, warped > 0)
    assert np.median(off) < 3 + 1.5 / scale, "small cells have their centre in the middle of a large pixel"
    assert (off < 30).mean() > 0.95


def test_cells_that_touch_do_not_mix() -> None:
    """Along a straight border, the flow on each side points away from it, up to the last pixel."""
    labels = np.zeros((60, 60), np.int64)
    labels[10:50, 10:30], labels[10:50, 30:50] = 7, 9
    for scale in (0.5, 1.0, 2.0):
        side = 64
        matrix, offset = turned(0.0, scale, 1, labels.shape, side)
        flows, inside, _ = warp_words(words_of(labels), matrix, offset + 0.3, side)
        columns = (matrix[1, 1] * np.arange(side) + offset[1] + 0.3).round().astype(int)
        rows = (matrix[0, 0] * np.arange(side) + offset[0] + 0.3).round().astype(int)
        at = np.ix_((rows > 25) & (rows < 34), (columns == 29) | (columns == 30))
        across = flows[1][at]
        left = columns[(columns == 29) | (columns == 30)] == 29
        assert inside[at].all()
        assert (across[:, left] < -0.7).all()
        assert (across[:, ~left] > 0.7).all()


def test_holes_and_necks() -> None:
    yy, xx = np.mgrid[:80, :80]
    ring = np.hypot(yy - 40, xx - 40)
    labels = ((ring < 30) & (ring > 10)).astype(np.int64)
    labels[38:42, 8:12] = 0
    labels[40, 8:12] = 1  # a neck of one pixel
    labels[36:45, 0:8] = 1
    matrix, offset = turned(0.0, 1.0, 1, labels.shape, 80)
    flows, inside, _ = warp_words(words_of(labels), matrix, offset, 80)
    assert np.array_equal(inside > 0, labels > 0)
    assert np.abs(flows - unit_flows(labels[None])[1:, 0]).max() < 0.02


def test_a_cell_that_the_crop_cuts_keeps_its_centre() -> None:
    labels = np.zeros((80, 80), np.int64)
    labels[20:60, 20:60] = 1
    words = words_of(labels)
    flows, inside, _ = warp_words(words, np.eye(2), np.array([44.0, 24.0]), 16)  # rows 44 to 60, beyond the centre
    assert inside.all()
    assert (flows[0] < -0.3).all(), "all of it flows up, to a centre that is not in the crop"


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_quarter_turn_moves_pixels_and_blurs_nothing(turn: int) -> None:
    image = np.random.default_rng(0).random((2, 32, 32)).astype(np.float32)
    matrix, offset = turned(turn * np.pi / 2, 1.0, 1, (32, 32), 32)
    found = warp_image(image, matrix, offset, 32)
    at = np.stack(np.meshgrid(range(32), range(32), indexing="ij"), -1) @ matrix.T + offset
    y, x = at.round().astype(int).transpose(2, 0, 1)
    assert np.allclose(found, image[:, y, x], atol=1e-5)


def test_an_image_that_shrinks_is_averaged() -> None:
    board = (np.indices((64, 64)).sum(0) % 2).astype(np.float32)[None]
    found = warp_image(board, np.eye(2) * 4, np.array([1.5, 1.5]), 16)
    assert np.allclose(found, 0.5, atol=0.05)


def test_beyond_the_image_there_is_nothing() -> None:
    found = warp_image(np.ones((1, 8, 8), np.float32), np.eye(2), np.array([-4.0, -4.0]), 16)
    assert found[0, 4:12, 4:12].min() == 1
    assert found.sum() == 64
    labels = np.ones((8, 8), np.int64)
    flows, inside, known = warp_words(words_of(labels), np.eye(2), np.array([-4.0, -4.0]), 16)
    assert inside.sum() == 64
    assert known.all()
    assert not flows[:, inside == 0].any()
