from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bigcell.core.lookup import Lookup


@given(st.dictionaries(st.integers(1, 99), st.integers(1, 2**40)), st.lists(st.integers(0, 110)), st.integers(1, 4))
def test_a_joined_table_is_a_dictionary_with_0_for_what_is_missing(
    table: dict[int, int], asked: list[int], pieces: int
) -> None:
    parts = []
    for k in range(pieces):
        keys = sorted(n for n in table if n % pieces == k)
        parts.append(Lookup(np.array(keys, np.int64), np.array([table[n] for n in keys], np.int64)))
    assert Lookup.join(parts).of(np.array(asked, np.int64)).tolist() == [table.get(n, 0) for n in asked]
