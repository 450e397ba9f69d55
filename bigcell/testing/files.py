"""What a run left, to be compared with what another one left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORDS = ("record.json", "report.html", "zarr.json", ".zattrs")
"""The record and the report, which name times and paths, and the attributes of the group, which hold the record too."""


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by its path, but `RECORDS`."""
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in RECORDS)
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def tree_of(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` but reports, by its path, and every empty folder. See `content_of`."""
    found = (p for p in sorted(folder.rglob("*")) if p.name != "report.html")
    return {str(p.relative_to(folder)): content_of(p.name, p.read_bytes()) for p in found if p.is_file()} | {
        f"{p.relative_to(folder)}/": b"" for p in sorted(folder.rglob("*")) if p.is_dir() and not any(p.iterdir())
    }


def content_of(name: str, content: bytes) -> bytes:
    """What a file holds; of a run record, which also is in the labels' attributes, all but `stages`.

    `stages` holds seconds, the tasks that the last driver did, and the most memory of a process: they are of the day,
    and so is what the report tells.
    """
    if not name.endswith(("record.json", "zarr.json", ".zattrs", ".zmetadata")):
        return content
    values = json.loads(content)
    _forget_stages(values)
    return json.dumps(values, sort_keys=True).encode()


def _forget_stages(values: Any) -> None:
    if not isinstance(values, dict):
        return
    if "labels_sha256" in values.get("result", {}):
        values.pop("stages", None)
    for part in values.values():
        _forget_stages(part)
