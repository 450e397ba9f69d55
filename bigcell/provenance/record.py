"""The run record: what made a result. Plain JSON, in the labels' attributes and beside them."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bigcell.core.documents import is_number
from bigcell.core.errors import InputError
from bigcell.core.settings import from_document

FORMAT = 1
PACKAGES = ("bigcell", "numpy", "numba", "torch", "zarr", "scipy", "dask", "distributed", "fastremap")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def host() -> dict[str, Any]:
    """Facts of the machine that a reader of timings wants; no user or host name."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "byteorder": sys.byteorder,
    }


@dataclass(frozen=True)
class RunRecord:
    """Enough to say what made some labels, and to make them again (``bigcell rerun``).

    `plan`: the plan as JSON. `command`: the arguments `rerun` needs. `stages`: seconds and tasks of each stage.
    `result`: counts. Timings aside, two runs of one plan have equal records.
    """

    plan: dict[str, Any]
    command: dict[str, Any]
    versions: dict[str, str]
    host: dict[str, Any]
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> RunRecord:
        """The record in `values`; anything else is an InputError."""
        if not isinstance(values, Mapping) or values.get("format") != FORMAT or "plan" not in values:
            raise InputError(f"this is not a bigcell run record of format {FORMAT}; give the record.json of a run")
        record: RunRecord = from_document(cls, values)
        _check(record.command, {"inputs": dict, "store": str, "labels": str})
        _check(record.result, {"objects": int, "labels_sha256": str})
        for stage in record.stages.values():
            if not all(is_number(stage.get(name, 0)) for name in ("seconds", "tasks", "peak_bytes")):
                raise InputError("the stages of this record are not told in numbers; give the record.json of a run")
        return record


def _check(values: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    """Raise InputError for what a record does not say, or does not say rightly."""
    for name, kind in kinds.items():
        if not isinstance(values.get(name), kind):
            raise InputError(f"this record does not say {name!r} as a run does; give the record.json of a run")
