from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.box import Box
from bigcell.core.errors import SettingsError
from bigcell.tiling.lattice import VIEWS, AxisTiles, Lattice, TileSettings

lattices = st.builds(
    Lattice,
    st.tuples(*[st.integers(1, 150)] * 3),
    st.builds(TileSettings, st.sampled_from([32, 48]), st.sampled_from([0.0, 0.15, 0.3]), st.integers(0, 3)),
)


@given(st.integers(1, 3000), st.sampled_from([32, 64, 224]), st.sampled_from([0.0, 0.1, 0.15, 0.5]))
def test_tiles_cover_an_axis_with_the_overlap_asked(length: int, size: int, overlap: float) -> None:
    axis = AxisTiles.over(length, TileSettings(size, overlap))
    assert axis.starts[0] == 0
    assert axis.size <= size
    assert axis.starts[-1] + axis.size >= length
    steps = np.diff(axis.starts)
    if len(steps):
        assert axis.starts[-1] + axis.size == length
        assert steps.min() > 0
        assert axis.size - steps.max() >= np.floor(overlap * size) - 1


@settings(max_examples=30)
@given(lattices)
def test_every_tile_is_run_by_exactly_one_cube(lattice: Lattice) -> None:
    seen: Counter[tuple[int, int, int, int]] = Counter()
    for cube in range(len(lattice.cubes)):
        for run in lattice.runs(cube):
            for plane in range(run.first, run.last):
                seen[run.view, plane, run.row, run.column] += 1
    assert set(seen.values()) == {1}
    assert len(seen) == lattice.tiles


@settings(max_examples=30)
@given(lattices, st.data())
def test_covering_finds_every_cube_that_writes_into_a_box(lattice: Lattice, data: st.DataObject) -> None:
    start = tuple(data.draw(st.integers(0, n - 1)) for n in lattice.extent)
    box = Box(start, tuple(min(n, s + 40) for s, n in zip(start, lattice.extent, strict=True)))
    hit = set(lattice.covering(box))
    for cube in range(len(lattice.cubes)):
        if not (lattice.footprint(cube) & box).is_empty:
            assert cube in hit


@settings(max_examples=30)
@given(lattices)
def test_runs_stay_in_the_footprint(lattice: Lattice) -> None:
    for cube in range(len(lattice.cubes)):
        foot = lattice.footprint(cube)
        for run in lattice.runs(cube):
            normal, rows, columns = VIEWS[run.view]
            assert foot.start[normal] <= run.first <= run.last <= foot.stop[normal]
            assert foot.start[rows] <= run.row
            assert foot.start[columns] <= run.column


def test_one_plane_is_seen_in_one_view() -> None:
    assert Lattice((1, 300, 200)).views == (0,)


def test_a_tile_that_the_network_cannot_halve_is_refused() -> None:
    with pytest.raises(SettingsError, match="multiple of 16"):
        TileSettings(size=100)
