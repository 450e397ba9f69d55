"""Ids that get other numbers."""

from __future__ import annotations

import numpy as np

from bigcell.core.relabel import renumber_into


def test_every_id_gets_its_number() -> None:
    local = np.random.default_rng(0).integers(0, 9, (3, 4, 5)).astype(np.int32)
    number = np.array([0, 5, 0, 7, 1, 2, 2, 8, 3], np.uint64)
    out = np.full(local.shape, 99, np.uint64)
    before = local.copy()
    renumber_into(out, local, number)
    assert np.array_equal(out, number[before])
    assert np.array_equal(local, before)


def test_an_array_is_renumbered_in_its_place_also_where_it_is_part_of_another() -> None:
    whole = np.arange(2 * 6 * 6, dtype=np.uint32).reshape(2, 6, 6) % 4
    part, before = whole[:, 1:4, ::2], whole.copy()
    number = np.array([0, 3, 0, 1], np.uint32)
    renumber_into(part, part, number)
    assert np.array_equal(part, number[before[:, 1:4, ::2]])
    whole[:, 1:4, ::2] = before[:, 1:4, ::2]
    assert np.array_equal(whole, before)
