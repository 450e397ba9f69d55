"""Anything that holds pixels as volumes, and `convert`: the same written as OME-Zarr, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.paths import local_path
from bigcell.core.settings import check_type
from bigcell.core.volume import Array, Volume
from bigcell.io.arrays import ArraySource, as_volumes
from bigcell.io.images import write_image
from bigcell.io.layout import Zyx
from bigcell.io.location import is_url
from bigcell.io.open import open_image, read_info
from bigcell.io.planes import PICTURES, TIFF, open_folder, open_npy, open_picture
from bigcell.io.tiff import open_tiff


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
    known = ", ".join(sorted(TIFF | PICTURES | {".npy"}))
    raise InputError(f"{path} is of a kind we cannot read; wanted {known}, a folder of planes or OME-Zarr")


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
    """Write `source` as an OME-Zarr image at `output`, with a pyramid. Returns the path.

    `axes` names the axes of the source in its order ("zcyx"); `spacing_um` is (z, y, x) in µm. Memory stays about
    a GiB, whatever the size. All time points are kept.
    """
    spacing = _spacing(spacing_um)
    check_type(int | None, series=series, levels=levels)
    check_type(tuple[int, int, int] | None, chunk=chunk, shard=shard)
    volumes = open_pixels(source, axes=axes, spacing=spacing, series=series)
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


def _spacing(spacing_um: Sequence[float] | None) -> Spacing | None:
    if spacing_um is None:
        return None
    try:
        z, y, x = (float(s) for s in spacing_um)
        return Spacing(z, y, x)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"spacing {spacing_um!r}: wanted three positive numbers in µm, z y x") from error


def _is_zarr(path: Path) -> bool:
    return any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zarray"))


def _zarr_volumes(source: str | Path, axes: str | None, spacing: Spacing | None) -> tuple[Volume, ...]:
    if axes is not None:
        raise InputError(f"{source} is OME-Zarr and names its axes itself; leave axes out")
    times = read_info(source).length("t")
    volumes: tuple[Volume, ...] = tuple(open_image(source, time=t) for t in range(times))
    if spacing is None:
        return volumes
    return tuple(Respaced(v, spacing, v.channels) for v in volumes)
