"""The foreground as a coarse grid: what it says of boxes is what its voxels say, and a mask is never lost in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigcell.core.box import Box
from bigcell.preprocess import foreground as fg
from bigcell.preprocess.foreground import Foreground

Zyx = tuple[int, int, int]
extents = st.tuples(st.integers(1, 9), st.integers(1, 30), st.integers(1, 30))
sides = st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))


def made(extent: Zyx, side: Zyx, seed: int, share: float) -> Foreground:
    cells = np.random.default_rng(seed).random(fg.cell_counts(extent, side)) < share
    return Foreground(cells, side, extent)


def voxels_of(found: Foreground) -> np.ndarray:
    """Every voxel, one by one."""
    z, y, x = np.indices(found.extent)
    return found.cells[z // found.side[0], y // found.side[1], x // found.side[2]]


@st.composite
def boxes(draw: st.DrawFn, extent: Zyx) -> Box:
    ends = [sorted((draw(st.integers(0, n)), draw(st.integers(0, n)))) for n in extent]
    return Box(tuple(a for a, _ in ends), tuple(b for _, b in ends))


@given(st.data(), extents, sides, st.integers(0, 99), st.sampled_from([0.0, 0.1, 0.6, 1.0]))
def test_boxes_say_what_their_voxels_say(data: st.DataObject, extent: Zyx, side: Zyx, seed: int, share: float) -> None:
    found, box = made(extent, side, seed, share), data.draw(boxes(extent))
    every = voxels_of(found)
    here = every[box.slices]
    assert np.array_equal(found.mask(box), here)
    assert found.voxels == every.sum()
    assert found.planes.tolist() == every.sum((1, 2)).tolist()
    if box.is_empty:
        return
    aligned = every[tuple(slice(a // s * s, -(-b // s) * s) for a, b, s in zip(box.start, box.stop, side, strict=True))]
    assert found.holds(box) == here.any() == aligned.any()
    assert found.covers(box) == here.all()
    bounds = found.bounds(box)
    assert bounds in box
    rest = here.copy()
    rest[bounds.relative_to(box).slices] = False
    assert not rest.any()
    for axis in range(3):  # no side can be taken in
        if here.any():
            sides_of = np.flatnonzero(here.any(tuple(i for i in range(3) if i != axis))) + box.start[axis]
            assert (bounds.start[axis], bounds.stop[axis]) == (sides_of[0], sides_of[-1] + 1)
        else:
            assert bounds.is_empty


def test_nothing_is_foreground_beyond_the_volume() -> None:
    found = made((4, 20, 20), (2, 8, 8), 0, 1.0)
    assert not found.holds(Box((0, 0, 20), (4, 20, 90)))
    assert not found.holds(Box((0, -30, 0), (4, 0, 20)))
    assert found.holds(Box((-9, -9, -9), (1, 1, 1)))


@given(extents, sides, st.integers(0, 99))
def test_arrays_tell_all_of_it(extent: Zyx, side: Zyx, seed: int) -> None:
    found = made(extent, side, seed, 0.4)
    again = Foreground.of_arrays(found.arrays())
    assert np.array_equal(again.cells, found.cells)
    assert (again.side, again.extent, again.sha256) == (found.side, found.extent, found.sha256)
    other = found.cells.copy()
    other[0, 0, 0] ^= True
    assert Foreground(other, side, extent).sha256 != found.sha256


@pytest.mark.parametrize("extent", [(1, 40, 50), (10_000, 10_000, 10_000), (3, 5, 100_000_000), (1, 900_000, 900_000)])
def test_the_grid_is_small_whatever_the_volume(extent: Zyx) -> None:
    side = fg.cell_side(extent, 2.0)
    assert np.prod(fg.cell_counts(extent, side)) <= fg.MOST_CELLS
    assert min(side[1:]) >= fg.SIDE
    assert extent[0] > 1 or side[0] == 1


@given(
    extents, sides, st.integers(0, 99), st.tuples(*[st.sampled_from([0.5, 1.0, 2.0, 3.3, 8.0])] * 3),
    st.tuples(*[st.integers(0, 7)] * 3), st.integers(5, 4000),
)  # fmt: skip
def test_a_cell_is_set_where_any_voxel_of_the_mask_overlaps_it(
    extent: Zyx, side: Zyx, seed: int, ratio: tuple[float, float, float], offset: Zyx, piece: int
) -> None:
    shape = tuple(max(1, round((n + o) / r)) for n, o, r in zip(extent, offset, ratio, strict=True))
    mask = np.random.default_rng(seed).random(shape) < 0.1
    spans = [fg.span(a, extent, side, offset[a], ratio[a], shape[a]) for a in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fg, "PIECE", piece)
        cells = fg.occupied(lambda box: mask[box.slices], (spans[0], spans[1], spans[2]))
    wanted = np.zeros(fg.cell_counts(extent, side), bool)
    for place in np.argwhere(mask):
        ends = []
        for axis, m in enumerate(place):
            first, last = m * ratio[axis] - offset[axis], (m + 1) * ratio[axis] - offset[axis]
            last = np.inf if m == shape[axis] - 1 else last  # what lies beyond the mask counts to its last voxel
            starts = np.arange(wanted.shape[axis]) * side[axis]
            stops = np.minimum(starts + side[axis], extent[axis])
            ends.append((starts < last - 1e-9) & (stops > first + 1e-9))
        wanted |= ends[0][:, None, None] & ends[1][:, None] & ends[2]
    assert np.array_equal(cells, wanted)


def test_a_mask_is_read_in_pieces_and_no_voxel_twice() -> None:
    mask, read = np.zeros((64, 40, 40), bool), np.zeros((64, 40, 40), int)
    mask[63, 39, 0] = True
    extent, side = (512, 320, 320), (16, 16, 16)
    largest = [0]

    def reader(box: Box) -> np.ndarray:
        read[box.slices] += 1
        largest[0] = max(largest[0], box.size)
        return mask[box.slices]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fg, "PIECE", 4000)
        spans = [fg.span(a, extent, side, 0, 8.0, mask.shape[a]) for a in range(3)]
        cells = fg.occupied(reader, (spans[0], spans[1], spans[2]))
    assert np.argwhere(cells).tolist() == [[31, 19, 0]]
    assert (read == 1).all()
    assert largest[0] <= 4000


def test_growing_reaches_as_many_cells_in_every_direction() -> None:
    cells = np.zeros((5, 7, 9), bool)
    cells[2, 3, 0] = True
    found = fg.grown(cells, (0, 1, 2))
    assert sorted(map(tuple, np.argwhere(found))) == [(2, y, x) for y in (2, 3, 4) for x in (0, 1, 2)]
