"""Targets of tiles: those of whole cells, wherever the tiles are cut."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.flows.from_labels import unit_flows
from bigcell.synthetic import sample_volume
from bigcell.training.crops.targets import make_tile, packed, unpacked

NOWHERE = (False, False, False, False)


@cache
def tissue() -> Array:
    return sample_volume((1, 160, 200), diameter=24, seed=3).labels[0].astype(np.int64)


def test_words_hold_what_was_packed() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 1 << 38, (40, 50))
    angle = rng.uniform(0, 7, labels.shape)
    flows, known = np.stack([np.sin(angle), np.cos(angle)]), rng.random(labels.shape) < 0.5
    words = packed(labels, flows, known)
    assert words.all(), "a word of nothing would be one that has not been made"
    found = unpacked(words)
    assert np.array_equal(found[0], labels)
    assert np.abs(found[1] - flows).max() <= 0.5 / 127 + 1e-6
    assert np.array_equal(found[2], known)
    assert packed(labels * 0, flows * 0, known & False).all()


@settings(max_examples=30)
@given(st.integers(0, 150), st.integers(0, 190), st.integers(1, 90), st.integers(1, 90))
def test_a_tile_is_a_piece_of_the_plane(top: int, left: int, height: int, width: int) -> None:
    labels = tissue()
    plane = labels.shape
    tile = Box((top, left), (top + height, left + width)) & Box.of(plane)
    words = make_tile(lambda box: labels[box.slices], plane, tile, NOWHERE)
    ids, flows, known = unpacked(words)
    assert np.array_equal(ids, labels[tile.slices])
    assert known.all()
    wanted = unit_flows(labels[None])[1:, 0][(slice(None), *tile.slices)]
    assert np.abs(flows - wanted).max() < 0.01


def test_labels_are_read_no_further_than_cells_reach() -> None:
    labels = np.zeros((600, 600), np.int64)
    labels[290:310, 290:310], labels[100:500, 330:335] = 1, 2
    seen = []

    def read(box: Box) -> Array:
        seen.append(box)
        return labels[box.slices]

    make_tile(read, (600, 600), Box((290, 280), (310, 320)), NOWHERE)
    assert seen == [Box((258, 248), (342, 352))], "cell 2 is not in the tile"
    seen.clear()
    make_tile(read, (600, 600), Box((290, 280), (310, 340)), NOWHERE)
    assert seen[-1].shape[0] > 400
    assert len(seen) == 4


@pytest.mark.parametrize("side", range(4))
def test_cells_at_a_cut_side_are_not_known(side: int) -> None:
    labels = np.zeros((50, 60), np.int64)
    labels[0:8, 20:30], labels[40:50, 20:30], labels[20:30, 0:8], labels[20:30, 50:60] = 1, 2, 3, 4
    labels[20:30, 20:30] = 5
    cut = [False] * 4
    cut[side] = True
    words = make_tile(lambda box: labels[box.slices], (50, 60), Box.of((50, 60)), tuple(cut))  # type: ignore[arg-type]
    _, _, known = unpacked(words)
    assert np.array_equal(known, labels != side + 1)
