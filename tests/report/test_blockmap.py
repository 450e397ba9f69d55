"""Maps: every block in its cell, at most so many cells, numbers that come back."""

from __future__ import annotations

from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigcell.report.blockmap import CELLS, SIDE, BlockSums, coarsening

COUNTS = st.tuples(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 3000))


@given(COUNTS)
def test_the_number_of_cells_is_bounded(counts: tuple[int, int, int]) -> None:
    cells = [-(-n // f) for n, f in zip(counts, coarsening(counts), strict=True)]
    assert np.prod(cells) <= CELLS
    assert max(cells[1:]) <= SIDE


@given(st.tuples(st.integers(1, 9), st.integers(1, 300), st.integers(1, 300)), st.integers(0, 10**6))
def test_blocks_are_counted_in_the_cell_that_holds_them(counts: tuple[int, int, int], seed: int) -> None:
    sums = BlockSums(tuple(4 * n for n in counts), (4, 4, 4), counts)  # type: ignore[arg-type]
    number = seed % int(np.prod(counts))
    at = np.unravel_index(number, counts)
    assert sums.cell(number) == tuple(int(a) // f for a, f in zip(at, sums.factors, strict=True))
    assert sums.held.sum() == np.prod(counts)


def test_what_was_done_for_many_blocks_is_shared() -> None:
    sums = BlockSums((4, 12, 10), (4, 4, 4), (1, 3, 3))
    sums.spread((0, 0, 0), (4, 5, 10), 6.0, 3)
    assert sums.seconds[0].tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]
    assert sums.retries.sum() == 3


def test_levels_stand_for_values() -> None:
    sums = BlockSums((4, 4, 12), (4, 4, 4), (1, 1, 3))
    sums.seconds[0, 0] = [0, 1, 4]
    sums.retries[0, 0, 1] = 2
    found = sums.result()
    seconds = found.quantities[0]
    levels = np.frombuffer(b64decode(seconds.levels), np.uint8)
    assert ((levels - 1.0) / 254 * seconds.high).tolist() == pytest.approx([0, 1, 4], abs=4 / 254)
    assert (seconds.least, seconds.middle, seconds.most, seconds.sum) == (0, 1, 4, 5)
    assert found.slow == (((0, 0, 8), (4, 4, 12), 4.0), ((0, 0, 4), (4, 4, 8), 1.0))
    assert [q.sum for q in found.quantities] == [5, 0, 2]
