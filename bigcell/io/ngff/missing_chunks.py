"""Chunks that nobody wrote: background in labels and in all that bigcell writes, in images what zarr is set to."""

from __future__ import annotations

from typing import Any

import zarr

SETTING = "array.read_missing_chunks"
"""zarr's name, since 3.2, for whether chunks that are not there are filled; where it is false, they are an error."""
OURS: Any = {"write_empty_chunks": False, "read_missing_chunks": True}
"""How arrays of ours are opened: blocks without an object are not written, whatever zarr is set to."""


def filled_by_setting() -> bool:
    """Whether zarr is set, in this process, to fill chunks that are not there."""
    return bool(zarr.config.get(SETTING, True))


def with_missing(array: zarr.Array[Any], *, filled: bool) -> zarr.Array[Any]:
    """`array`, whose chunks that are not there read as its fill value, or are an error (before zarr 3.2: filled)."""
    known = hasattr(getattr(array, "config", None), "read_missing_chunks")
    how: Any = {"read_missing_chunks": filled}
    return array.with_config(how) if known else array
