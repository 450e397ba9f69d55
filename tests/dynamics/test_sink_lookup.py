"""The table of ends finds what a sorted search finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bigcell.core.lookup import Lookup
from bigcell.dynamics.sink_lookup import hash_table, name_ends
from bigcell.engine.tasks.follow import end_positions


@given(seed=st.integers(0, 10**6), known=st.integers(0, 300), share=st.floats(0, 1))
def test_names_are_those_of_a_sorted_search(seed: int, known: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    extent = np.array([9, 12, 11])
    core = (4, 6, 5)
    origin = rng.integers(0, extent - core + 1)
    mask = rng.random(core) < share
    start = np.argwhere(mask) + origin
    moved = (rng.integers(0, extent, (len(start), 3)) - start).astype(np.int16)
    keys = np.sort(rng.permutation(int(np.prod(extent)))[:known])
    numbers = rng.integers(0, 50, len(keys))
    local = np.zeros(core, np.uint32)
    lost = name_ends(mask, moved, np.array([origin, extent]), hash_table(keys, numbers), local)
    wanted = Lookup(keys, numbers).of(end_positions(mask, moved, origin, extent))
    assert np.array_equal(local[mask], wanted)
    assert not local[~mask].any()
    assert lost == np.count_nonzero(wanted == 0)


def test_far_positions_that_share_a_slot_are_told_apart() -> None:
    rng = np.random.default_rng(1)
    keys = np.unique(rng.integers(0, 2**62, 5000))
    table = hash_table(keys, np.arange(len(keys)))
    assert np.array_equal(np.sort(table[table[:, 0] >= 0, 0]), keys)
    assert len(table) >= 2 * len(keys)
