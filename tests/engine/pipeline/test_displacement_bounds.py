from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bigcell.core.box import Box
from bigcell.engine.pipeline.displacement_bounds import DisplacementBounds
from bigcell.tiling.grid import BlockGrid

grids = st.builds(BlockGrid, st.tuples(*[st.integers(1, 20)] * 3), st.tuples(*[st.integers(1, 9)] * 3))


@given(grids, st.data())
def test_blocks_into_a_box_are_those_whose_grown_cores_meet_it(grid: BlockGrid, data: st.DataObject) -> None:
    ways = np.array(data.draw(st.lists(st.integers(0, 9), min_size=len(grid), max_size=len(grid))), np.int32)
    start = data.draw(st.tuples(*[st.integers(-5, n + 3) for n in grid.extent]))
    box = Box(start, tuple(s + data.draw(st.integers(1, 12)) for s in start))
    near = grid.touching(box.grow(int(ways.max())))
    plain = [k for k in near if not (grid.core(k).grow(int(ways[k])) & box).is_empty]
    assert list(DisplacementBounds.of(grid, ways).blocks_into(box)) == plain


@given(grids)
def test_sizes_and_layers_are_those_of_the_blocks(grid: BlockGrid) -> None:
    assert grid.sizes.tolist() == [grid.core(k).size for k in range(len(grid))]
    for i, blocks in enumerate(grid.layers):
        assert list(blocks) == [k for k in range(len(grid)) if grid.layer(k) == i]
