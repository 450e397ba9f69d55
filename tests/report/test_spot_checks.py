"""Looks at labels: cut ones are told from whole ones, places stay the same, little is read."""

from __future__ import annotations

from base64 import b64decode
from functools import cache
from io import BytesIO

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import RunSettings
from bigcell.report.spot_checks import FACES, PATCH, PICTURES, WINDOW, Places, check_seams, take_pictures
from bigcell.stitch.audit import REACH
from bigcell.synthetic import sample_volume


def plan_of(extent: tuple[int, int, int], block: tuple[int, int, int]) -> Plan:
    return Plan(extent, Spacing(), ("a",), "uint8", RunSettings(block=block))


PLAN = plan_of((48, 160, 160), (24, 40, 40))


@cache
def cells() -> np.ndarray:
    return np.asarray(sample_volume(PLAN.extent, diameter=13, seed=3).labels)


def cut(labels: np.ndarray, share: float) -> np.ndarray:
    """Labels of which some objects have another number in every block, as if blocks had not been joined."""
    number = np.zeros(labels.shape, np.int64)
    for k in range(len(PLAN.grid)):
        number[PLAN.grid.core(k).slices] = k
    chosen = np.random.default_rng(1).random(labels.max() + 1) < share
    return np.where(chosen[labels], labels * 1000 + number, labels)


def reader(labels: np.ndarray):
    return lambda box: labels[box.slices]


def test_whole_labels_have_no_seams() -> None:
    seams = check_seams(PLAN, reader(cells()))
    assert seams is not None
    assert seams.clean
    assert 0.8 < seams.ratio < 1.25
    assert seams.faces == 3 * FACES
    assert seams.verdict.startswith("No seams found")


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_labels_that_were_cut_at_blocks_are_found_out(share: float) -> None:
    seams = check_seams(PLAN, reader(cut(cells(), share)))
    assert seams is not None
    assert not seams.clean
    assert seams.ratio > 1.4
    assert "cut there" in seams.verdict
    assert seams.shares[seams.offsets.index(0)] == max(seams.shares)


def test_one_block_has_no_seams_to_look_for() -> None:
    assert check_seams(plan_of((9, 9, 9), (9, 9, 9)), reader(np.ones((9, 9, 9), int))) is None


def test_empty_labels_tell_nothing() -> None:
    nothing = np.zeros(PLAN.extent, np.uint8)
    assert check_seams(PLAN, reader(nothing)) is None
    assert take_pictures(PLAN, None, reader(nothing)) == ()


def test_no_time_no_looks() -> None:
    assert check_seams(PLAN, reader(cells()), patience=-1.0) is None
    assert take_pictures(PLAN, None, reader(cells()), patience=-1.0) == ()


SIZES = st.tuples(st.integers(1, 600), st.integers(1, 600), st.integers(1, 600))


@given(SIZES, SIZES, st.integers(0, 2))
def test_places_lie_in_the_volume_at_faces_and_are_small(
    extent: tuple[int, int, int], block: tuple[int, int, int], axis: int
) -> None:
    plan = plan_of(extent, block)
    whole = Box.of(extent)
    for _, face in zip(range(5), Places(plan).faces(axis), strict=False):
        assert face.box in whole
        assert face.at % plan.grid.shape[axis] == 0
        assert face.box.start[axis] < face.at < face.box.stop[axis]
        assert face.box.size <= PATCH**2 * 2 * (REACH + 1)
    for at_face in (False, True):
        for _, (box, meet) in zip(range(5), Places(plan).windows(at_face=at_face), strict=False):
            assert box in whole
            assert not box.is_empty
            assert box.size <= WINDOW**2
            meets = [(box.start[a] + m) % plan.grid.shape[a] for a, m in ((1, meet[0]), (2, meet[1])) if m is not None]
            assert not any(meets)
            assert meets or not at_face


def test_places_are_the_same_when_looked_at_again() -> None:
    assert check_seams(PLAN, reader(cells())) == check_seams(PLAN, reader(cells()))
    once, again = (take_pictures(PLAN, None, reader(cells())) for _ in range(2))
    assert once == again
    assert len(once) == PICTURES


def test_a_picture_shows_outlines_over_the_image_and_marks_where_blocks_meet() -> None:
    image = np.where(cells() > 0, 100, 10).astype(np.uint8)[None]
    plan = plan_of(PLAN.extent, (48, 80, 160))
    pictures = take_pictures(plan, lambda box: image[(slice(None), *box.slices)], reader(cells()))
    drawn = matplotlib.image.imread(BytesIO(b64decode(pictures[1].png)), format="png")
    assert drawn.shape[:2] == pictures[1].size == (160, 160)
    assert "a face of blocks" in pictures[1].caption
    assert drawn[79:81, :7, :3].min() == 1.0
    vivid = drawn[..., :3].max(-1) - drawn[..., :3].min(-1) > 0.2
    assert 0.05 < vivid.mean() < 0.6
