"""Write images as OME-Zarr with a pyramid: shard by shard, in bounded memory, under their name only when whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from bigcell.core.axes import ZYX, Spacing, Zyx
from bigcell.core.box import Box
from bigcell.core.errors import OutputError, SettingsError
from bigcell.core.processes.interrupts import undisturbed
from bigcell.core.volume import Array, ArrayVolume, Volume
from bigcell.io.ngff.attributes import multiscale_attributes
from bigcell.io.ngff.layout import (
    VERSIONS,
    Grid,
    Place,
    axes_metadata,
    base_scale,
    dataset_metadata,
    grid_of,
    make_array,
    reduced_place,
    units_of,
)
from bigcell.io.ngff.missing_chunks import OURS
from bigcell.io.ngff.pyramid import Factor, level_factors, reduce_image
from bigcell.io.stores.staged_folder import building_place, check_place, put_in_place

PIECE_BYTES = 2**28
"""How much of the source is held at once; a larger row of shards is read in several pieces."""
COLOURS = ("00FFFF", "FF00FF", "FFFF00", "00FF00", "FF0000", "0000FF")


@dataclass(frozen=True)
class _Image:
    """What is being written where."""

    folder: Path
    axes: tuple[str, ...]
    version: str
    dtype: np.dtype[Any]
    grids: tuple[Grid, ...]
    factors: tuple[Factor, ...]
    lengths: tuple[int, int]

    def open(self, level: int) -> zarr.Array[Any]:
        """The array of `level`, for writing."""
        return zarr.open_array(LocalStore(self.folder), path=str(level), mode="r+", config=OURS)

    def at(self, t: int, c: int, box: Box) -> tuple[slice | int, ...]:
        """Where `box` of one time and channel lies in the file. An axis that the file lacks has length 1."""
        picks: dict[str, slice | int] = {"t": t, "c": c, **dict(zip(ZYX, box.slices, strict=True))}
        return tuple(picks[a] for a in self.axes)

    def read(self, level: int, t: int, c: int, box: Box) -> Array:
        values: Array = np.asarray(self.open(level)[self.at(t, c, box)]).reshape(box.shape)
        return values

    def write(self, level: int, t: int, c: int, box: Box, values: Array) -> None:
        self.open(level)[self.at(t, c, box)] = values if "z" in self.axes else values[0]


def write_image(
    path: str | Path,
    source: Array | Volume | Sequence[Volume],
    *,
    spacing: Spacing | None = None,
    axes: str | None = None,
    channels: Sequence[str] | None = None,
    version: str = "0.5",
    chunk: Zyx | None = None,
    shard: Zyx | None = None,
    levels: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Write `source` as an OME-Zarr image with a pyramid; returns the path.

    `source` is a volume, several (one a time point), or an array (y, x), (z, y, x) or (channel, z, y, x). `axes` are
    those of the file, such as "tczyx"; left out, it has those that are longer than one. The pyramid halves y and x
    until they are at most 256, and z once voxels are about cubes; `levels` sets how many there are instead.
    """
    volumes = _volumes(source)
    first = volumes[0]
    if version not in VERSIONS:
        raise SettingsError(f"OME-Zarr version {version!r} asked for, wanted one of {', '.join(VERSIONS)}")
    names = tuple(channels) if channels is not None else first.channels
    if len(names) != len(first.channels):
        raise SettingsError(f"{len(names)} channel names for {len(first.channels)} channels; give one name each")
    size = spacing or first.spacing
    final = check_place(path, "images", overwrite=overwrite)
    letters = _axes(axes, len(volumes), len(names), first.extent[0])
    image = _layout(final, letters, version, volumes, size, chunk, shard, levels)
    try:
        shutil.rmtree(image.folder, ignore_errors=True)
        _make(image)
        _fill(image, volumes)
        _describe(image, final.stem.removesuffix(".ome"), names, size)
        with undisturbed():
            put_in_place(image.folder, final)
    except OSError as error:
        raise OutputError(
            f"{image.folder} cannot be written ({error}); free some space or give another path"
        ) from error
    finally:
        shutil.rmtree(image.folder, ignore_errors=True)
    return final


def _volumes(source: Array | Volume | Sequence[Volume]) -> tuple[Volume, ...]:
    volumes: tuple[Volume, ...]
    if isinstance(source, np.ndarray):
        volumes = (ArrayVolume(source),)
    else:
        volumes = tuple(source) if isinstance(source, Sequence) else (source,)
    kinds = {(v.extent, v.dtype, len(v.channels)) for v in volumes}
    if len(kinds) != 1:
        raise SettingsError(
            f"{len(volumes)} time points of {len(kinds)} shapes or dtypes, wanted at least one, all alike"
        )
    return volumes


def _axes(wanted: str | None, times: int, channels: int, depth: int) -> tuple[str, ...]:
    lengths = {"t": times, "c": channels, "z": depth}
    needed = [a for a, n in lengths.items() if n > 1]
    if wanted is None:
        return (*needed, "y", "x")
    if not {"y", "x", *needed} <= set(wanted) <= set("tczyx") or len(set(wanted)) < len(wanted):
        raise SettingsError(
            f"axes {wanted!r} cannot hold this image; wanted {''.join(needed)}yx, each once, or more of tczyx"
        )
    if sorted(wanted, key="tczyx".index) != list(wanted):
        raise SettingsError(f"axes {wanted!r} are out of order; OME-Zarr wants t, c, z, y, x in this order")
    return tuple(wanted)


def _layout(
    final: Path,
    axes: tuple[str, ...],
    version: str,
    volumes: Sequence[Volume],
    spacing: Spacing,
    chunk: Zyx | None,
    shard: Zyx | None,
    levels: int | None,
) -> _Image:
    extent = volumes[0].extent
    plane = extent[0] == 1
    inner = chunk or ((1, 512, 512) if plane else (64, 64, 64))
    outer = (shard or ((1, 2048, 2048) if plane else (64, 512, 512))) if version != "0.4" else None
    factors = _factors(extent, spacing, levels)
    grids, size = [], extent
    for factor in factors:
        z, y, x = (-(-n // f) for n, f in zip(size, factor, strict=True))
        size = (z, y, x)
        grids.append(grid_of(size, inner, outer))
    lengths = (len(volumes), len(volumes[0].channels))
    dtype = np.dtype(volumes[0].dtype.newbyteorder("=").str)  # of two types of 64 bits, the one that zarr knows
    return _Image(building_place(final), axes, version, dtype, tuple(grids), factors, lengths)


def _factors(extent: Zyx, spacing: Spacing, levels: int | None) -> tuple[Factor, ...]:
    factors = level_factors(extent, spacing)
    if levels is None:
        return factors
    if levels < 1:
        raise SettingsError(f"{levels} levels asked for, wanted at least 1")
    more: Factor = factors[-1] if len(factors) > 1 else (1, 2, 2)
    return (*factors[:levels], *(more for _ in range(levels - len(factors))))


def _make(image: _Image) -> None:
    zarr.create_group(LocalStore(image.folder), zarr_format=3 if image.version != "0.4" else 2)
    lengths = dict(zip("tc", image.lengths, strict=True))
    for level, grid in enumerate(image.grids):
        make_array(
            image.folder, str(level), grid, axes=image.axes, lengths=lengths, dtype=image.dtype, version=image.version,
            shuffle=True,
        )  # fmt: skip


def _fill(image: _Image, volumes: Sequence[Volume]) -> None:
    for t, volume in enumerate(volumes):
        for box in pieces(image.grids[0], image.dtype.itemsize * len(volume.channels)):
            values = volume.read(box)
            for c, channel in enumerate(values):
                image.write(0, t, c, box, np.ascontiguousarray(channel, dtype=image.dtype))
    for level, t, c in product(range(1, len(image.grids)), *map(range, image.lengths)):
        grid, factor = image.grids[level], image.factors[level]
        above = Box.of(image.grids[level - 1].extent)
        for box in Box.of(grid.extent).split(grid.shard):
            start, stop = (tuple(v * f for v, f in zip(at, factor, strict=True)) for at in (box.start, box.stop))
            finer = image.read(level - 1, t, c, Box(start, stop) & above)
            image.write(level, t, c, box, reduce_image(finer, factor))


def pieces(grid: Grid, voxel_bytes: int) -> Iterator[Box]:
    """Boxes of whole shards that tile the image once, slabs of whole planes where `PIECE_BYTES` allow it.

    Whole planes, since most files on disk are read a plane at a time.
    """
    z, rows, columns = grid.shard[0], grid.extent[1], grid.extent[2]
    rows = _fitting(rows, grid.shard[1], PIECE_BYTES // (z * columns * voxel_bytes))
    columns = _fitting(columns, grid.shard[2], PIECE_BYTES // (z * rows * voxel_bytes))
    return Box.of(grid.extent).split((z, rows, columns))


def _fitting(length: int, unit: int, limit: int) -> int:
    """`length`, or as many whole units as `limit` allows, at least one."""
    return length if length <= limit else max(1, limit // unit) * unit


def _describe(image: _Image, name: str, names: Sequence[str], spacing: Spacing) -> None:
    """The metadata, written last: a group without it is not yet an image."""
    places = [Place(base_scale(image.axes, spacing), (0.0,) * len(image.axes))]
    for factor in image.factors[1:]:
        places.append(reduced_place(places[-1], factor, image.axes))
    multiscale = {
        "name": name,
        "axes": axes_metadata(image.axes, units_of(image.axes, spacing)),
        "datasets": [dataset_metadata(str(k), place) for k, place in enumerate(places)],
        "type": "mean",
        "metadata": {"method": "bigcell.io.ngff.pyramid.reduce_image", "description": "mean of each box of voxels"},
    }
    colours = ["FFFFFF"] if len(names) == 1 else [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    channels = [
        {"label": label, "color": colour, "active": True, "window": _window(image, c)}
        for c, (label, colour) in enumerate(zip(names, colours, strict=True))
    ]
    group = zarr.open_group(LocalStore(image.folder), mode="r+", use_consolidated=False)
    # Of the three parts that the specification shows readers may want all or none.
    shown = {
        "defaultT": 0,
        "defaultZ": image.grids[0].extent[0] // 2,
        "model": "greyscale" if len(names) == 1 else "color",
    }
    omero: dict[str, Any] = {"channels": channels, "rdefs": shown}
    if image.version == "0.4":
        omero["version"] = "0.4"
    group.attrs.update(multiscale_attributes(multiscale, image.version, omero=omero))
    if sources := {a: s for a, s in zip(ZYX, spacing.sources, strict=bool(spacing.sources)) if a in image.axes}:
        group.attrs.update({"bigcell": {"sizes_from": sources}})


def _window(image: _Image, c: int) -> dict[str, float]:
    """Contrast of one channel: the middle 99.6 % of the coarsest level (at most 64 planes of the first time point)."""
    level = len(image.grids) - 1
    z, y, x = image.grids[level].extent
    step = -(-z // 64)
    seen = np.concatenate([image.read(level, 0, c, Box((k, 0, 0), (k + 1, y, x))) for k in range(0, z, step)])
    seen = seen[np.isfinite(seen)]
    start, end = np.percentile(seen, (0.2, 99.8)).tolist() if seen.size else (0.0, 1.0)
    if image.dtype.kind == "f":
        low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
    else:
        low, high = (float(v) for v in (np.iinfo(image.dtype).min, np.iinfo(image.dtype).max))
    return {"min": low, "max": max(high, low + 1), "start": start, "end": end if end > start else start + 1}
