"""Split and merged cells: by hand, and borders that move joining nobody."""

from __future__ import annotations

import numpy as np
import pytest

from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array
from bigcell.metrics.cuts import Cuts, cuts
from bigcell.metrics.overlaps import overlaps
from bigcell.metrics.pairs import CellPairs


def cut(truth: Array, found: Array, **options: float) -> Cuts:
    return cuts(CellPairs.of(overlaps(truth, found)), **options)


def test_pieces_and_wholes_are_counted() -> None:
    truth = np.array([[1] * 8 + [2] * 8 + [3] * 2 + [4] * 2 + [0] * 4])
    found = np.array([[1] * 4 + [2] * 3 + [3] * 1 + [4] * 8 + [5] * 4 + [6] * 4])
    got = cut(truth, found)
    assert got.pieces.tolist() == [3, 1, 1, 1]
    assert got.whole.tolist() == [1, 1, 1, 1, 2, 0]
    assert (got.split, got.merged) == (1, 1)


def test_many_small_cells_in_one_are_a_merge() -> None:
    truth = np.arange(20).repeat(5)[None]
    assert cut(truth, np.ones_like(truth)).whole.tolist() == [19]


def test_a_border_that_moves_is_neither() -> None:
    truth, found = np.array([[1] * 10 + [2] * 10]), np.array([[1] * 14 + [2] * 6])
    assert (cut(truth, found).split, cut(truth, found).merged) == (0, 0)
    assert (cut(truth, found, share=0.4).split, cut(truth, found, share=0.4).merged) == (1, 1)
    half = np.array([[1] * 15 + [2] * 5])
    assert cut(truth, half).merged == 1, "half of a cell is a cell"


def test_shares_are_parts() -> None:
    for share in (0.0, 1.5, float("nan")):
        with pytest.raises(SettingsError, match="share"):
            cut(np.ones((1, 2), int), np.ones((1, 2), int), share=share)
