"""Anything that holds pixels as volumes, and `convert`: the same written as OME-Zarr, in bounded memory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bigcell.core.axes import ZYX, Spacing, Zyx
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.paths import local_path
from bigcell.core.settings import check_type
from bigcell.core.volume import Array, Volume
from bigcell.io.formats.arrays import ArraySource, as_volumes
from bigcell.io.formats.pictures import PICTURES, TIFF, open_folder, open_npy, open_picture
from bigcell.io.formats.tiff import open_tiff
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.ngff.pack_zip import VERSION, is_zip_place, write_zip
from bigcell.io.ngff.write_image import write_image
from bigcell.io.stores.location import CONVERTIBLE, how_to_make_zarr
from bigcell.io.stores.urls import absolute, is_url, without_credentials
from bigcell.io.stores.zip_store import split_zip

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Respaced:
    """A volume whose voxel size the user knows better than its file."""

    volume: Volume
    spacing: Spacing
    channels: tuple[str, ...]

    @property
    def extent(self) -> tuple[int, int, int]:
        return self.volume.extent

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return self.volume.dtype

    def read(self, box: Box) -> Array:
        return self.volume.read(box)


def open_pixels(
    source: str | Path | ArraySource,
    *,
    axes: str | None = None,
    spacing: Spacing | None = None,
    series: int | None = None,
) -> tuple[Volume, ...]:
    """`source` as one volume a time point, whatever it is: TIFF, a folder of planes, PNG, .npy, an array, OME-Zarr.

    `axes` in the file's order ("zcyx"), and `spacing`, stand in where the file says nothing or says it wrong.
    """
    if not isinstance(source, str | Path):
        return as_volumes(source, axes=axes, spacing=spacing, coloured=True)
    if is_url(source) or _is_zarr(local_path(source)):
        return _zarr_volumes(source, axes, spacing)
    path = local_path(source)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    if path.is_dir():
        return open_folder(path, axes=axes, spacing=spacing)
    suffix = path.suffix.lower()
    if suffix in TIFF:
        return open_tiff(path, axes=axes, spacing=spacing, series=series)
    if suffix in PICTURES:
        return open_picture(path, axes=axes, spacing=spacing)
    if suffix == ".npy":
        return open_npy(path, axes=axes, spacing=spacing)
    known = ", ".join(sorted(CONVERTIBLE))
    raise InputError(f"{path}: {how_to_make_zarr(path)}; wanted {known}, a folder of planes or OME-Zarr")


def convert(
    source: str | Path | ArraySource,
    output: str | Path,
    *,
    axes: str | None = None,
    spacing_um: Sequence[float] | None = None,
    channels: Sequence[str] | None = None,
    series: int | None = None,
    version: str = "0.5",
    chunk: Zyx | None = None,
    shard: Zyx | None = None,
    levels: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Write `source` as an OME-Zarr image with a pyramid.

    All time points are kept. Memory stays about a GiB, whatever the size.

    Parameters
    ----------
    source
        A TIFF, a folder of planes, a picture, ``.npy``, an OME-Zarr (path or URL), or an array of any library.
    output
        The new store. One that ends in ``.ozx`` is a zip; an OME-Zarr 0.5 of which nothing is to be changed goes into
        it as it is, labels and all.
    axes
        A letter for each axis of the source, in its order ("zcyx"), where the source does not say them or says them
        wrong.
    spacing_um
        Size of a voxel along (z, y, x) in µm, where the source does not say it or says it wrong.
    channels
        Names, one for each channel.
    series
        Which image of a file that holds several, counted from 0.
    version
        That of OME-Zarr: "0.4", "0.5" or "0.6".
    chunk, shard
        Voxels (z, y, x) of a chunk, and of a file that holds several; None chooses them.
    levels
        Number of resolutions; None makes as many as viewers need.
    overwrite
        Replace what is at `output`.

    Returns
    -------
    Path
        The new store.

    Raises
    ------
    InputError
        If the source is damaged, or nothing tells which axis is which.
    OutputError
        If `output` is there already or cannot be written.
    """
    spacing = _spacing(spacing_um)
    check_type(int | None, series=series, levels=levels)
    check_type(tuple[int, int, int] | None, chunk=chunk, shard=shard)
    if is_zip_place(output):
        if version != VERSION:
            raise SettingsError(f"version {version!r}: a zip holds OME-Zarr {VERSION}; leave version out")
        options: dict[str, Any] = {
            "axes": axes,
            "spacing_um": spacing_um,
            "channels": channels,
            "series": series,
            "chunk": chunk,
            "shard": shard,
            "levels": levels,
        }
        whole = _packable(source) if not any(options.values()) else None
        return write_zip(output, lambda folder: convert(source, folder, **options), whole=whole, overwrite=overwrite)
    volumes = open_pixels(source, axes=axes, spacing=spacing, series=series)
    _tell_size(source, volumes[0])
    names = tuple(channels) if channels is not None else None
    if names is not None and len(names) != len(volumes[0].channels):
        raise SettingsError(f"{len(names)} channel names for {len(volumes[0].channels)} channels; give one name each")
    return write_image(
        output,
        volumes,
        spacing=spacing,
        channels=names,
        version=version,
        chunk=chunk,
        shard=shard,
        levels=levels,
        overwrite=overwrite,
    )


def _packable(source: str | Path | ArraySource) -> Path | None:
    """The folder of an OME-Zarr that can be zipped as it is; None for anything else."""
    if not isinstance(source, str | Path) or is_url(source) or split_zip(absolute(source)):
        return None
    folder = Path(absolute(source))
    return folder if (folder / "zarr.json").exists() and read_info(source).version == VERSION else None


def _tell_size(source: str | Path | ArraySource, volume: Volume) -> None:
    """Say what of the voxel size is not known, or was not as it is taken."""
    remark = volume.spacing.remark(ZYX if volume.extent[0] > 1 else ZYX[1:])
    if remark:
        shown = without_credentials(str(source)) if isinstance(source, str | Path) else "the array"
        log.warning("%s: %s; --spacing Z,Y,X (spacing_um) says otherwise", shown, remark)


def _spacing(spacing_um: Sequence[float] | None) -> Spacing | None:
    if spacing_um is None:
        return None
    try:
        z, y, x = (float(s) for s in spacing_um)
        return Spacing(z, y, x, sources=("what was given to convert",) * 3)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"spacing {spacing_um!r}: wanted three positive numbers in µm, z y x") from error


def _is_zarr(path: Path) -> bool:
    return split_zip(str(path)) is not None or any((path / n).exists() for n in ("zarr.json", ".zgroup", ".zarray"))


def _zarr_volumes(source: str | Path, axes: str | None, spacing: Spacing | None) -> tuple[Volume, ...]:
    if axes is not None:
        raise InputError(f"{source} is OME-Zarr and names its axes itself; leave axes out")
    times = read_info(source).length("t")
    volumes: tuple[Volume, ...] = tuple(open_image(source, time=t, backward=True) for t in range(times))
    if spacing is None:
        return volumes
    return tuple(Respaced(v, spacing, v.channels) for v in volumes)
