from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_fill_holes

from bigcell.core.box import Box
from bigcell.stitch.pieces import OwnedPieces, Pieces
from bigcell.tiling.grid import BlockGrid


def pieces_of(labels: np.ndarray, box: Box) -> Pieces:
    part = labels[box.slices]
    names = np.unique(part[part > 0])
    return Pieces.measure(np.searchsorted(names, part) + (part > 0), names, box)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.tuples(*[st.integers(2, 6)] * 3))
def test_owned_rows_equal_the_measures_of_the_whole(seed: int, block: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(seed)
    grid = BlockGrid((5, 9, 8), block)
    sinks = rng.choice(5 * 9 * 8, 12, replace=False) + 1
    labels = np.where(rng.random((5, 9, 8)) < 0.6, rng.choice(sinks, (5, 9, 8)), 0)
    parts = [pieces_of(labels, grid.core(k)) for k in range(len(grid))]
    rng.shuffle(parts)  # type: ignore[arg-type]
    known = [OwnedPieces.of(p, grid) for p in parts]
    owned = [Pieces.sum([p.by(k) for p in known]) for k in range(len(grid))]
    assert sorted(np.concatenate([o.name for o in owned]).tolist()) == np.unique(labels[labels > 0]).tolist()
    for objects in owned:
        for name, voxels, total, low, high in zip(
            objects.name, objects.voxels, objects.total, objects.low, objects.high, strict=True
        ):
            where = np.argwhere(labels == name)
            assert voxels == len(where)
            assert (total == where.sum(0)).all()
            assert (low == where.min(0)).all()
            assert (high == where.max(0) + 1).all()
        holed = dict(zip(objects.name.tolist(), objects.may_have_holes(grid).tolist(), strict=True))
        for name in objects.name:
            own = labels == name
            assert holed[name] or not any((binary_fill_holes(plane) & ~plane).any() for plane in own)


def test_no_part_gives_no_object() -> None:
    assert len(Pieces.sum([])) == 0
    assert len(Pieces.measure(np.zeros((2, 2, 2), np.uint32), np.zeros(0, np.int64), Box.of((2, 2, 2)))) == 0


def test_gaps_are_found_along_x_and_along_y() -> None:
    local = np.zeros((2, 5, 5), np.uint16)
    local[0, 1, [0, 2]] = 1
    local[0, [0, 3], 4] = 2
    local[1, 2:4, 1:4] = 3
    local[:, 0, 0] = 4
    local[1, 4, [1, 3]], local[1, [2, 4], 0] = 5, 5
    assert Pieces.measure(local, np.arange(1, 6), Box.of(local.shape)).gap.tolist() == [1, 2, 0, 0, 3]
