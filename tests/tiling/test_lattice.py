from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.box import Box
from bigcell.core.errors import SettingsError
from bigcell.tiling.lattice import VIEWS, AxisTiles, Lattice, TileSettings

tile_settings = st.builds(
    TileSettings,
    size=st.sampled_from([32, 48]),
    overlap=st.sampled_from([0.0, 0.15, 0.3]),
    group=st.integers(0, 3),
    layout=st.just("even"),
    fixed=st.booleans(),
) | st.builds(
    TileSettings,
    size=st.sampled_from([32, 48]),
    overlap=st.sampled_from([0.1, 0.3]),
    group=st.integers(0, 3),
    layout=st.just("cellpose"),
    fixed=st.booleans(),
    mirrored=st.booleans(),
)
lattices = st.builds(
    Lattice, st.tuples(*[st.integers(1, 150)] * 3), tile_settings, st.sampled_from([(0, 1, 2), (0, 2), (0,)])
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
            for axis, index in ((rows, run.row), (columns, run.column)):
                tiles = lattice.axes[axis]
                assert foot.start[axis] <= max(0, tiles.starts[index])
                assert min(tiles.starts[index] + tiles.size, tiles.length) <= foot.stop[axis]


@given(st.integers(1, 3000), tile_settings)
def test_tiles_cover_every_voxel_and_fixed_ones_have_one_size(length: int, settings: TileSettings) -> None:
    axis = AxisTiles.over(length, settings)
    assert axis.starts[0] <= 0
    assert axis.starts[-1] + axis.size >= length
    assert max(np.diff(axis.starts), default=0) <= axis.size
    assert axis.size % 16 == 0
    if settings.fixed:
        assert axis.size == settings.size


def test_cellpose_tiles_are_those_of_its_padded_image() -> None:
    """Worked by hand: 500 is padded by 6 + 6 to 512 and by 8 + 8 to 528; ceil(1.2 * 528 / 224) = 3 tiles of 224."""
    settings = TileSettings(size=224, overlap=0.1, layout="cellpose")
    assert AxisTiles.over(500, settings).starts == (-14, 138, 290)
    assert AxisTiles.over(128, settings) == AxisTiles(128, 144, (-8,), 224)  # shorter than a tile: one, as long as it


def test_cellpose_tiles_of_a_transformer_fit_one_small_image() -> None:
    """A plane of 256 becomes 272, and so two tiles along each axis; one of up to 240 is one tile."""
    settings = TileSettings(size=256, overlap=0.1, layout="cellpose", fixed=True)
    assert AxisTiles.over(256, settings).starts == (-8, 8)
    assert AxisTiles.over(100, settings).starts == (-78,)
    assert AxisTiles.over(241, settings).starts == (-8, -7)


def test_mirrored_tiles_lie_half_a_tile_apart() -> None:
    settings = TileSettings(size=224, layout="cellpose", mirrored=True)
    assert AxisTiles.over(432, settings).starts == (-8, 66, 141, 216)
    assert AxisTiles.over(100, settings).starts == (-14, -14)  # the same tile twice, flipped in two ways


def test_one_plane_is_seen_in_one_view() -> None:
    assert Lattice((1, 300, 200)).views == (0,)


def test_mirrored_tiles_want_the_layout_of_cellpose() -> None:
    with pytest.raises(SettingsError, match="layout 'cellpose'"):
        TileSettings(mirrored=True)


def test_a_tile_that_the_network_cannot_halve_is_refused() -> None:
    with pytest.raises(SettingsError, match="multiple of 16"):
        TileSettings(size=100)
