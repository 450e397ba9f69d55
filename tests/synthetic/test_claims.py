"""Which cell a voxel belongs to: the compiled loops over boxes equal asking every voxel about every cell."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.synthetic import spindles, tissue
from bigcell.synthetic.tissue import whole_cells

SHAPES = st.tuples(st.integers(1, 9), st.integers(4, 14), st.integers(4, 14))
STEPS = st.tuples(st.sampled_from((0.5, 1.0, 3.0)), st.just(1.0), st.sampled_from((0.7, 1.0)))


def voxels(shape: tuple[int, int, int], step: np.ndarray) -> np.ndarray:
    """Centres of all voxels in µm, (z, y, x, 3)."""
    return (np.stack(np.indices(shape), -1) + 0.5) * step


@settings(max_examples=40)
@given(SHAPES, STEPS, st.integers(0, 10**6), st.integers(1, 6))
def test_ellipsoids(shape: tuple[int, int, int], lengths: tuple[float, float, float], seed: int, count: int) -> None:
    rng, step = np.random.default_rng(seed), np.array(lengths)
    centres = rng.uniform(-2, np.array(shape) * step + 2, (count, 3))
    turns, _ = np.linalg.qr(rng.normal(size=(count, 3, 3)))
    forms = np.einsum("nij,nj,nkj->nik", turns, rng.uniform(1, 4, (count, 3)) ** -2, turns)
    labels, depth = np.zeros(shape, np.int32), np.full(shape, np.inf, np.float32)
    second = np.full(shape, np.inf, np.float32)
    tissue._claim(centres, forms, step, np.zeros((3, *shape), np.float32), labels, depth, second)
    gaps = voxels(shape, step)[..., None, :] - centres
    depths = np.einsum("...ni,nij,...nj->...n", gaps, forms, gaps)
    inside = depths.min(-1) < 1
    assert np.array_equal(labels[inside], 1 + depths.argmin(-1)[inside])
    assert np.array_equal(depth < 1, inside)
    assert np.allclose(depth[inside], depths.min(-1)[inside], rtol=1e-4, atol=1e-5)
    if count > 1:
        next_one = np.sort(depths, axis=-1)[..., 1]
        assert np.allclose(second[next_one < 1], next_one[next_one < 1], rtol=1e-4, atol=1e-5)


@settings(max_examples=40)
@given(SHAPES, STEPS, st.integers(0, 10**6), st.integers(1, 6))
def test_capsules(shape: tuple[int, int, int], lengths: tuple[float, float, float], seed: int, count: int) -> None:
    rng, step = np.random.default_rng(seed), np.array(lengths)
    ends = rng.uniform(-2, np.array(shape) * step + 2, (2, count, 3))
    radii = rng.uniform(0.3, 3, (2, count))
    owner = rng.integers(1, 4, count).astype(np.int32)
    labels, depth = np.zeros(shape, np.int32), np.full(shape, np.inf, np.float32)
    capsules = np.column_stack([ends[0], ends[1], radii[0], radii[1]])
    spindles._claim(capsules, owner, step, labels, depth)
    way = ends[1] - ends[0]
    gaps = voxels(shape, step)[..., None, :] - ends[0]
    t = np.clip((gaps * way).sum(-1) / (way**2).sum(-1), 0, 1)
    depths = ((gaps - t[..., None] * way) ** 2).sum(-1) / (radii[0] + t * (radii[1] - radii[0])) ** 2
    inside = depths.min(-1) < 1
    assert np.array_equal(depth < 1, inside)
    assert np.allclose(depth[inside], depths.min(-1)[inside], rtol=1e-4, atol=1e-5)
    ranked = np.sort(depths, axis=-1)
    clear = inside & (ranked[..., 1] - ranked[..., 0] > 1e-5 if count > 1 else True)
    assert np.array_equal(labels[clear], owner[depths.argmin(-1)][clear])


def test_whole_cells_are_one_piece_and_not_too_small() -> None:
    labels = np.zeros((1, 10, 20), np.int32)
    labels[0, 1:5, 1:5] = 3
    labels[0, 7:9, 1:3] = 3  # the smaller piece
    labels[0, 1, 10] = 5  # a speck
    labels[0, 5:9, 12:18] = 9
    cells = whole_cells(labels, 10.0**3)
    assert cells.dtype == np.uint32
    assert np.unique(cells).tolist() == [0, 1, 2]
    assert ((cells == 1).sum(), (cells == 2).sum()) == (16, 24)
    assert not cells[0, 7:9, 1:3].any()
