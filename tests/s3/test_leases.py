"""Leases and shared documents in a simulated object store: one holder, no change lost."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from bigcell.engine.runtime.status import is_known_dead, this_process
from bigcell.io.stores import leases
from bigcell.io.stores.leases import lease_is_there, leased
from bigcell.io.stores.locks import HeldError
from bigcell.io.stores.remote import keys_below, upload
from bigcell.io.stores.shared_documents import change_document, read_json, to_bytes


def mine(run="one"):
    return {**this_process(), "run": run}


def test_one_holder(bucket):
    place = f"{bucket}/a.zarr/labels/cells"
    with leased(place, mine(), is_dead=is_known_dead):
        assert lease_is_there(place)
        with pytest.raises(HeldError) as refused, leased(place, mine("two"), is_dead=is_known_dead):
            pass
        assert refused.value.holder["run"] == "one"
    assert not lease_is_there(place)
    assert keys_below(f"{bucket}/a.zarr") == []


def test_workers_of_one_array_share_it(bucket):
    place = f"{bucket}/a.zarr/labels/cells"
    with leased(place, mine(), is_dead=is_known_dead, shared=True):
        with leased(place, mine(), is_dead=is_known_dead, shared=True):
            pass
        assert lease_is_there(place)
        with pytest.raises(HeldError), leased(place, mine("two"), is_dead=is_known_dead, shared=True):
            pass


def test_a_dead_holder_loses_it(bucket):
    place = f"{bucket}/a.zarr/labels/cells"
    dead = {**mine(), "pid": 2**22 + 1}
    upload(json.dumps({"holders": {"it": dead}}).encode(), f"{bucket}/a.zarr/labels/.cells.lease")
    with leased(place, mine("two"), is_dead=is_known_dead):
        pass


def test_a_silent_holder_elsewhere_loses_it(bucket, monkeypatch):
    place = f"{bucket}/a.zarr/labels/cells"
    other = {**mine(), "machine": "another"}
    upload(json.dumps({"holders": {"it": other}}).encode(), f"{bucket}/a.zarr/labels/.cells.lease")
    with pytest.raises(HeldError), leased(place, mine("two"), is_dead=is_known_dead):
        pass
    monkeypatch.setattr(leases, "SILENCE", -1.0)
    with leased(place, mine("two"), is_dead=is_known_dead):
        pass
    assert keys_below(f"{bucket}/a.zarr") == []


def test_no_change_of_a_document_is_lost(bucket):
    def add(name):
        def change(held):
            known = read_json(held, "the list")
            return to_bytes({"names": sorted({*known.get("names", []), name})})

        change_document(f"{bucket}/a.zarr", "labels/zarr.json", change)

    names = [f"n{i:02}" for i in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, names))
    found = {}
    change_document(f"{bucket}/a.zarr", "labels/zarr.json", lambda held: found.update(read_json(held, "it")))
    assert found["names"] == names
