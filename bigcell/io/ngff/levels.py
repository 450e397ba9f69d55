"""The arrays that a multiscale image names as its levels, each with everything in it that could hurt checked first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import zarr

from bigcell.core.errors import InputError
from bigcell.io.ngff.metadata import LevelInfo
from bigcell.io.stores.location import metadata_of
from bigcell.io.stores.urls import without_credentials

CHUNK_BYTES = 2**32
"""No chunk this large is believed: to read one voxel the whole of it would be held in memory."""
Dataset = tuple[str, tuple[float, ...], tuple[float, ...]]
"""A level as the image's metadata names it: its path, scale and translation."""


def checked_levels(group: zarr.Group, ndim: int, source: str, datasets: Iterable[Dataset]) -> tuple[LevelInfo, ...]:
    """The levels of the image at `source`, of `ndim` axes each, with scales above 0.

    A step backwards is as long, and for none voxels of the first level stand in. Raises InputError for what is not
    there, is no array, has other axes, or could not be read without harm.
    """
    levels = tuple(_level(group, ndim, source, *dataset) for dataset in datasets)
    first = levels[0].shape
    return tuple(
        replace(level, scale=tuple(abs(s) or a / b for s, a, b in zip(level.scale, first, level.shape, strict=True)))
        for level in levels
    )


def _level(
    group: zarr.Group, ndim: int, source: str, path: str, scale: tuple[float, ...], translation: tuple[float, ...]
) -> LevelInfo:
    shown = f"level {path!r} of {without_credentials(source)}"
    array = _opened(group, path, shown)
    if array.ndim != ndim:
        raise InputError(f"{shown} has {array.ndim} dimensions, but {ndim} axes are named; repair the metadata")
    if 0 in array.shape:
        raise InputError(f"{shown} has shape {array.shape}, so it holds no voxel; give an image with at least one")
    dtype = np.dtype(array.dtype)
    if dtype.kind not in "uifb" or dtype.itemsize > 8:
        raise InputError(f"{shown} has dtype {dtype}, wanted integers or floats of at most 64 bits; convert it")
    if prod(array.chunks) * dtype.itemsize > CHUNK_BYTES:
        raise InputError(f"{shown} has chunks {array.chunks}, more than 4 GiB each; rewrite it with smaller ones")
    stored = array.metadata.to_dict()
    if any("pickle" in repr(stored.get(part)) for part in ("filters", "compressor", "codecs")):
        raise InputError(f"{shown} is stored with the pickle codec, which can run code; do not trust this file")
    return LevelInfo(path, array.shape, array.chunks, array.shards, scale, translation, dtype)


def _opened(group: zarr.Group, path: str, shown: str) -> zarr.Array[Any]:
    try:
        array = group[path]
    except KeyError as error:
        raise InputError(f"{shown} is named in the metadata but is not there; the copy may be incomplete") from error
    except Exception as error:  # hostile metadata makes zarr raise anything
        _check_grid(metadata_of(group, path), shown)
        raise InputError(f"{shown} cannot be opened ({str(error)[:200]}); the file may be damaged") from error
    if not isinstance(array, zarr.Array):
        raise InputError(f"{shown} is a group, wanted an array; repair the metadata")
    _check_grid(array.metadata.to_dict(), shown)
    return array


def _check_grid(metadata: Mapping[str, Any], shown: str) -> None:
    """Refuse chunks of several sizes, which zarr reads on request since 3.2, and all other grids."""
    grid = metadata.get("chunk_grid", {"name": "regular"})
    name = grid.get("name") if isinstance(grid, dict) else grid
    if name == "regular":
        return
    hint = "write it anew with chunks of one size"
    if name == "rectilinear":
        hint = (
            "in Python, with zarr 3.2 or later, write it anew: zarr.config.set({'array.rectilinear_chunks': True}), "
            "then bigcell.convert(zarr.open_array(...), 'new.zarr')"
        )
    raise InputError(f"{shown} has the chunk grid {str(name)[:80]!r}, wanted 'regular' (chunks of one size): {hint}")
