from __future__ import annotations

import pickle

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import bigcell
from bigcell.core.box import Box
from bigcell.io.ngff.metadata import parse_multiscale
from bigcell.testing.flows import FlowLattice
from bigcell.testing.virtual import LatticeImage, Source, VirtualStore, VirtualVolume

LATTICE = FlowLattice((30, 41, 50), diameter=9)
HUGE = FlowLattice((10_000, 10_000, 10_000))


@settings(max_examples=25)
@given(st.sampled_from([LATTICE, LatticeImage(LATTICE)]), st.sampled_from([(16, 16, 16), (30, 7, 64)]), st.data())
def test_what_is_read_is_what_the_source_makes(
    source: Source, chunk: tuple[int, int, int], data: st.DataObject
) -> None:
    start = tuple(data.draw(st.integers(0, n - 1)) for n in source.extent)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, source.extent, strict=True))
    plain = source.read(Box(start, stop))
    read = VirtualVolume(source, chunk).read(Box(start, stop))
    assert read.dtype == plain.dtype
    assert np.array_equal(read, plain)


def test_a_volume_of_a_million_million_voxels_is_read_anywhere_and_carried_to_workers() -> None:
    volume = pickle.loads(pickle.dumps(VirtualVolume(HUGE)))
    assert len(pickle.dumps(volume)) < 1000
    box = Box((9990, 5000, 63), (10_000, 5003, 66))
    assert np.array_equal(volume.read(box), HUGE.read(box))
    assert (volume.extent, volume.channels, volume.dtype) == (HUGE.extent, ("0", "1", "2", "3"), np.float32)


def test_the_store_is_an_ome_zarr_that_cannot_be_written() -> None:
    store = VirtualStore(LatticeImage(HUGE), (32, 64, 64))
    root = zarr.open_group(store, mode="r")
    found = parse_multiscale(dict(root.attrs), source="virtual")
    assert [a.name for a in found.axes] == ["c", "z", "y", "x"]
    assert root["0"].chunks == (1, 32, 64, 64)
    assert list(root.array_keys()) == ["0"]
    assert root["0"].nchunks_initialized == 0  # chunks are not named
    assert pickle.loads(pickle.dumps(store)) == store
    with pytest.raises(ValueError, match="read-only"):
        root["0"][0, 0, 0, 0] = 1


def test_flows_from_a_virtual_volume_give_the_labels_of_the_same_flows_in_memory() -> None:
    plain = bigcell.segment(flows=LATTICE.read(Box.of(LATTICE.extent)))
    virtual = bigcell.segment(flows=VirtualVolume(LATTICE, (16, 16, 16)), block=(16, 20, 20))
    assert virtual.objects == plain.objects > 20
    assert np.array_equal(virtual.labels, plain.labels)
