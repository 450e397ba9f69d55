from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigcell.core.box import Box

boxes = st.tuples(*[st.tuples(st.integers(-20, 20), st.integers(0, 20))] * 3).map(
    lambda t: Box(tuple(a for a, _ in t), tuple(a + n for a, n in t))
)


def points(box: Box) -> set[tuple[int, ...]]:
    return {p.start for p in box.split((1, 1, 1))} if box.size < 500 else set()


@given(boxes, boxes)
def test_and_is_set_intersection(a: Box, b: Box) -> None:
    if a.size < 500 and b.size < 500:
        assert points(a & b) == points(a) & points(b)
    assert (a & b) == (b & a) or (a & b).is_empty


@given(boxes, st.tuples(*[st.integers(1, 7)] * 3))
def test_split_tiles_once(box: Box, shape: tuple[int, int, int]) -> None:
    parts = list(box.split(shape))
    assert sum(p.size for p in parts) == box.size
    assert all(p in box for p in parts)


@given(boxes, st.integers(0, 5))
def test_grow_then_relative(box: Box, margin: int) -> None:
    inner = box.relative_to(box.grow(margin))
    assert inner.start == (margin,) * 3
    assert inner.shape == box.shape


def test_a_negative_side_is_refused() -> None:
    with pytest.raises(ValueError, match="negative side"):
        Box((3,), (2,))
