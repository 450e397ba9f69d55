from __future__ import annotations

import json

import pytest

from bigcell.core.errors import BigcellError, InputError, SettingsError
from bigcell.provenance.fingerprint import difference, fingerprint
from bigcell.provenance.record import RunRecord, host, versions

COMMAND = {"store": "x.zarr", "labels": "cells", "inputs": {}}
RESULT = {"objects": 3, "labels_sha256": "a" * 64}


def test_a_record_comes_back_from_json() -> None:
    record = RunRecord({"extent": [1, 2, 3]}, COMMAND, versions(), host(), {"follow_flows": {"seconds": 1.5}}, RESULT)
    assert RunRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize("bad", [None, 3, [], {}, {"format": 99, "plan": {}}, {"format": 1}])
def test_other_json_is_refused(bad: object) -> None:
    with pytest.raises(InputError, match="not a bigcell run record"):
        RunRecord.from_json(bad)


@pytest.mark.parametrize(
    "changes",
    [
        {"command": {**COMMAND, "inputs": []}},
        {"command": {**COMMAND, "store": None}},
        {"result": {**RESULT, "objects": "3"}},
        {"result": {}},
        {"stages": {"follow_flows": 3}},
        {"stages": {"follow_flows": {"seconds": "long"}}},
    ],
)
def test_a_record_that_lacks_what_a_rerun_needs_is_refused(changes: dict[str, object]) -> None:
    values = RunRecord({"extent": [1, 2, 3]}, COMMAND, {}, {}, {}, RESULT).to_json()
    with pytest.raises((InputError, SettingsError), match=r"this record|stages"):
        RunRecord.from_json({**values, **changes})


def test_an_unknown_field_is_named() -> None:
    values = RunRecord({}, {}, {}, {}).to_json()
    with pytest.raises(BigcellError, match="versoins"):
        RunRecord.from_json({**values, "versoins": {}})


def test_versions_name_what_decides_the_result() -> None:
    assert {"bigcell", "numpy", "torch", "zarr"} <= versions().keys()


def test_fingerprints_tell_values_apart() -> None:
    assert fingerprint({"a": 1.0}) != fingerprint({"a": 1.5})
    with pytest.raises(ValueError):
        fingerprint({"a": float("nan")})
    assert difference({"a": 1}, {"a": 1}) == []
