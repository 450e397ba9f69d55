"""What a run left, to be compared with what another one left."""

from __future__ import annotations

from pathlib import Path

RECORDS = ("record.json", "report.html", "zarr.json", ".zattrs")
"""The record and the report, which name times and paths, and the attributes of the group, which hold the record too."""


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by its path, but `RECORDS`."""
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in RECORDS)
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}
