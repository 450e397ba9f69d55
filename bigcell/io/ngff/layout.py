"""How we lay out what we write: chunks, shards, codecs and the multiscales metadata of both OME-Zarr versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr
from zarr.codecs import BloscCodec, ZstdCodec

from bigcell.core.axes import NO_SIZE, UM, ZYX, Spacing, Zyx
from bigcell.io.ngff.missing_chunks import OURS
from bigcell.io.stores.location import open_store
from bigcell.io.stores.urls import joined

VERSIONS = ("0.4", "0.5", "0.6")
"""Of OME-Zarr, that we write."""
AXIS_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


@dataclass(frozen=True)
class Grid:
    """Size, chunks and shards along z, y, x; `shard` is what one task writes (without shards, the chunk)."""

    extent: Zyx
    chunk: Zyx
    shard: Zyx


@dataclass(frozen=True)
class Place:
    """Where a level lies in the world: a scale and a translation for each axis of the file."""

    scale: tuple[float, ...]
    translation: tuple[float, ...]


def grid_of(extent: Sequence[int], chunk: Sequence[int], shard: Sequence[int] | None) -> Grid:
    """Chunks no larger than the array, shards of whole chunks that reach no further than they must.

    >>> grid_of((100, 300, 30), (64, 64, 64), (256, 256, 256))
    Grid(extent=(100, 300, 30), chunk=(64, 64, 30), shard=(128, 256, 30))
    """
    inner = [min(c, n) for c, n in zip(chunk, extent, strict=True)]
    if shard is None:
        outer = inner
    else:
        outer = [min(max(s // c, 1), -(-n // c)) * c for s, c, n in zip(shard, inner, extent, strict=True)]
    return Grid(_zyx(extent), _zyx(inner), _zyx(outer))


def make_array(
    group: str | Path,
    name: str,
    grid: Grid,
    *,
    axes: Sequence[str],
    lengths: Mapping[str, int],
    dtype: np.dtype[Any],
    version: str,
    shuffle: bool = False,
) -> None:
    """An empty array in the group at `group`: `lengths` along t and c, `grid` along z, y, x, zero where unwritten.

    Labels are long runs of one number: plain zstd makes them a third smaller than shuffled blosc, which images want.
    """
    extent, chunk, shard = (dict(zip(ZYX, sizes, strict=True)) for sizes in (grid.extent, grid.chunk, grid.shard))
    modern = version != "0.4"
    zarr.create_array(
        # Named within the group's store, it would make a group of all that is above it, before its time.
        open_store(joined(str(group), name), writing=True),
        shape=tuple(lengths.get(a, extent.get(a, 1)) for a in axes),
        chunks=tuple(chunk.get(a, 1) for a in axes),
        shards=tuple(shard.get(a, 1) for a in axes) if modern and grid.shard != grid.chunk else None,
        dtype=dtype,
        compressors=_compressor(dtype, modern=modern, shuffle=shuffle),
        filters=None if not modern else "auto",
        fill_value=0,
        zarr_format=3 if modern else 2,
        chunk_key_encoding={"name": "default" if modern else "v2", "separator": "/"},
        dimension_names=tuple(axes) if modern else None,
        config=OURS,
    )


def axes_metadata(axes: Sequence[str], units: Sequence[str | None]) -> list[dict[str, str]]:
    """The ``axes`` list: name, type, and a unit where there is one."""
    return [{"name": a, "type": AXIS_TYPES[a], **({"unit": u} if u else {})} for a, u in zip(axes, units, strict=True)]


def dataset_metadata(path: str, place: Place) -> dict[str, Any]:
    """One entry of ``datasets``; a translation is written only where it moves something."""
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": list(place.scale)}]
    if any(place.translation):
        steps.append({"type": "translation", "translation": list(place.translation)})
    return {"path": path, "coordinateTransformations": steps}


def units_of(axes: Sequence[str], spacing: Spacing) -> tuple[str | None, ...]:
    """µm on the spatial axes along which the voxel size is known, else nothing."""
    return tuple("micrometer" if a in ZYX and spacing.in_um(a) else None for a in axes)


def base_scale(axes: Sequence[str], spacing: Spacing) -> tuple[float, ...]:
    """The scale of a first level with voxels of `spacing`.

    A size that nothing tells is written as long as one in no unit, so that no ratio of them is read back.
    """
    plain = next((s for s, u in zip(spacing.zyx, spacing.units, strict=True) if u not in (UM, NO_SIZE)), 1.0)
    known = zip(ZYX, spacing.zyx, spacing.units, strict=True)
    size = {a: plain if u == NO_SIZE else s for a, s, u in known}
    return tuple(size.get(a, 1.0) for a in axes)


def reduced_place(place: Place, factor: Sequence[int], axes: Sequence[str], *, centred: bool = True) -> Place:
    """The place of the level whose voxels cover `factor` voxels of this one.

    A coarse voxel's centre is the mean of the centres that it covers, hence half a step on; with ``centred=False``
    the corner stays, for images whose own levels are written so.
    """
    by = dict(zip(ZYX, factor, strict=True))
    steps = [by.get(a, 1) for a in axes]
    scale = tuple(s * f for s, f in zip(place.scale, steps, strict=True))
    half = 0.5 if centred else 0.0
    moved = zip(place.translation, place.scale, steps, strict=True)
    return Place(scale, tuple(t + half * (f - 1) * s for t, s, f in moved))


def _compressor(dtype: np.dtype[Any], *, modern: bool, shuffle: bool) -> Any:
    if shuffle and modern:
        return BloscCodec(typesize=dtype.itemsize, cname="zstd", clevel=1, shuffle="shuffle")
    if shuffle:
        return numcodecs.Blosc(cname="zstd", clevel=1, shuffle=numcodecs.Blosc.SHUFFLE)
    return ZstdCodec(level=1) if modern else numcodecs.Zstd(level=1)


def _zyx(values: Sequence[int]) -> Zyx:
    z, y, x = (int(v) for v in values)
    return (z, y, x)
