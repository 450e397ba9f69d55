"""Parts of shards read at the same time are what zarr reads one after another."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.io.stores.parallel_read import _parts, read_ahead

SHAPE = (2, 20, 23, 30)
VALUES = (np.arange(np.prod(SHAPE)) % 60013).astype(np.uint16).reshape(SHAPE)


def stored(chunks, shards):
    array = zarr.create_array(
        zarr.storage.MemoryStore(), shape=SHAPE, chunks=chunks, shards=shards, dtype=np.uint16, fill_value=7
    )
    array[:, :16] = VALUES[:, :16]  # the rest is missing
    return array


ARRAYS = {
    name: stored(chunks, shards)
    for name, chunks, shards in [
        ("shards", (1, 4, 4, 5), (1, 8, 12, 10)),
        ("channels in one", (2, 4, 4, 5), (2, 8, 8, 15)),
        ("chunks", (1, 8, 8, 8), None),
    ]
}


@st.composite
def picks(draw):
    ends = [sorted(draw(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)))) for n in SHAPE]
    pick = [slice(a, b + 1) for a, b in ends]
    if draw(st.booleans()):
        pick[0] = ends[0][0]
    return tuple(pick)


@settings(max_examples=60)
@given(name=st.sampled_from(sorted(ARRAYS)), pick=picks())
def test_any_part_is_what_zarr_reads(name, pick):
    array = ARRAYS[name]
    found = read_ahead(array, pick)
    assert np.array_equal(found, array[pick])
    assert found.dtype == np.uint16


def test_whole_shards_stay_whole():
    array = ARRAYS["shards"]
    shard = (0, slice(8, 16), slice(0, 12), slice(20, 30))
    assert list(_parts(array, shard)) == [shard]
    assert list(_parts(array, (0, slice(16, 20), slice(12, 23), slice(20, 30)))) == [
        (0, slice(16, 20), slice(12, 23), slice(20, 30))
    ]  # cut short by the end of the array
    assert len(list(_parts(array, (0, slice(8, 15), slice(0, 12), slice(20, 30))))) == 2 * 3


def test_an_error_in_one_part_is_an_error():
    class Broken:
        shards, chunks, shape, dtype = (4, 4), (2, 2), (8, 8), np.dtype(np.uint8)

        def __getitem__(self, part):
            raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        read_ahead(Broken(), (slice(0, 3), slice(0, 8)))
