from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bigcell.core.box import Box
from bigcell.tiling.grid import BlockGrid

grids = st.integers(1, 3).flatmap(
    lambda n: st.builds(
        BlockGrid,
        st.tuples(*[st.integers(1, 20)] * n),
        st.tuples(*[st.integers(1, 9)] * n),
    )
)


@given(grids)
def test_cores_tile_the_extent_once(grid: BlockGrid) -> None:
    seen = np.zeros(grid.extent, int)
    for k in range(len(grid)):
        seen[grid.core(k).slices] += 1
    assert (seen == 1).all()


@given(grids, st.data())
def test_touching_is_what_intersects(grid: BlockGrid, data: st.DataObject) -> None:
    start = data.draw(st.tuples(*[st.integers(-5, n + 3) for n in grid.extent]))
    box = Box(start, tuple(s + data.draw(st.integers(0, 12)) for s in start))
    plain = [k for k in range(len(grid)) if not (grid.core(k) & box).is_empty]
    assert list(grid.touching(box)) == plain


@given(grids)
def test_owners_name_the_block_that_holds_the_point(grid: BlockGrid) -> None:
    points = np.indices(grid.extent)
    owners = grid.owners(list(points))
    for k in range(len(grid)):
        assert (owners[grid.core(k).slices] == k).all()
