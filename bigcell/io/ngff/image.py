"""Open an OME-Zarr image for reading, box by box: `read_info` reads metadata only, `open_image` gives a volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from bigcell.core.arrays import native
from bigcell.core.axes import ZYX, Spacing
from bigcell.core.box import Box
from bigcell.core.errors import ChunkError, InputError, SeveralImagesError
from bigcell.core.format import command
from bigcell.core.names import find_channels, is_part, listed
from bigcell.core.volume import Array, check_inside
from bigcell.io.ngff.levels import checked_levels
from bigcell.io.ngff.metadata import ImageInfo, channel_names, contrast_windows, parse_multiscale, sizes_from
from bigcell.io.ngff.missing_chunks import filled_by_setting, with_missing
from bigcell.io.ngff.roots import kind_of, why_not_one
from bigcell.io.stores.location import attributes_of, group_is_there, metadata_digest, ome_of, open_group
from bigcell.io.stores.parallel_read import read_ahead
from bigcell.io.stores.urls import absolute, is_url, joined, without_credentials


@dataclass(frozen=True)
class ZarrVolume:
    """Chosen channels of one level of an OME-Zarr image at one time, as a volume. Picklable: arrays are opened late.

    `region` is the part of the level (z, y, x) that the volume shows; box (0, 0, 0) is its corner. Chunks that are not
    there are `filled`, or an error: as zarr is set to where the volume was opened, and filled where it holds labels.
    """

    info: ImageInfo
    level: int
    indices: tuple[int, ...]
    time: int
    region: Box
    digest: str
    filled: bool = True

    @property
    def extent(self) -> tuple[int, int, int]:
        z, y, x = self.region.shape
        return (z, y, x)

    @property
    def offset(self) -> tuple[int, int, int]:
        """The volume's corner in voxels of the level."""
        z, y, x = self.region.start
        return (z, y, x)

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self.info.channels[i] for i in self.indices)

    @property
    def spacing(self) -> Spacing:
        return self.info.spacing(self.level)

    @property
    def origin_um(self) -> tuple[float, float, float]:
        """Where the centre of voxel (0, 0, 0) of the volume lies, in µm (in the file's numbers if it gives no unit)."""
        z, y, x = self.info.origin(self.level)
        return (
            z + self.offset[0] * self.spacing.z,
            y + self.offset[1] * self.spacing.y,
            x + self.offset[2] * self.spacing.x,
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that `read` gives: the file's, in the machine's byte order, bool as uint8."""
        return native(self.info.levels[self.level].dtype)

    def read(self, box: Box) -> Array:
        """The voxels of `box`, ``(channel, z, y, x)``; missing chunks are the fill value."""
        check_inside(box, self.extent)
        where = box.shift(self.offset)
        if self.indices == tuple(range(self.indices[0], self.indices[-1] + 1)):
            return self._read(slice(self.indices[0], self.indices[-1] + 1), where)
        return np.concatenate([self._read(slice(i, i + 1), where) for i in self.indices])

    def identity(self) -> dict[str, Any]:
        """What this volume is, for the record, without reading a voxel or telling a password."""
        level = self.info.levels[self.level]
        return {
            "source": without_credentials(self.info.source),
            "version": self.info.version,
            "level": self.level,
            "channels": list(self.channels),
            "channel_indices": list(self.indices),
            "time": self.time,
            "region": {"start": list(self.region.start), "stop": list(self.region.stop)},
            "axes": list(self.info.axes),
            "shape": list(level.shape),
            "dtype": str(level.dtype),
            "metadata_sha256": self.digest,
        }

    def _read(self, channels: slice, where: Box) -> Array:
        axes = self.info.axes
        pick: dict[str, slice | int] = {"t": self.time, "c": channels, **dict(zip(ZYX, where.slices, strict=True))}
        path = self.info.levels[self.level].path
        try:
            stored = _open_array(self.info.source, path, self.digest, filled=self.filled)
            where_stored = tuple(pick[a] for a in axes)
            far = is_url(self.info.source)
            values = read_ahead(stored, where_stored) if far else np.asarray(stored[where_stored])
        except Exception as error:  # every codec and every remote file system has errors of its own
            _raise_if_away(error, self.info.source)
            raise ChunkError(
                f"the voxels {where.start}..{where.stop} of {without_credentials(self.info.source)} cannot be read "
                f"({str(error)[:200]}); the file is damaged, out of reach, or on a server that gives no byte ranges"
            ) from error
        kept = [a for a in axes if a != "t"]
        values = values.transpose([kept.index(a) for a in "czyx" if a in kept])
        shape = (channels.stop - channels.start, *where.shape)
        return np.ascontiguousarray(values.reshape(shape), dtype=self.dtype)


def fill_value(volume: ZarrVolume) -> float:
    """What voxels are where no chunk was written; 0 where the array says nothing, or nothing finite."""
    array = _open_array(volume.info.source, volume.info.levels[volume.level].path, volume.digest)
    value = array.fill_value
    return value if value is not None and np.isfinite(value) else 0


def chunk_names(volume: ZarrVolume, places: Iterable[tuple[int, ...]]) -> list[str]:
    """The files, below the store, at `places` of the array's grid of chunks (of shards, if it has any)."""
    path = volume.info.levels[volume.level].path
    array = _open_array(volume.info.source, path, volume.digest)
    return [f"{path}/{array.metadata.encode_chunk_key(place)}" for place in places]


def read_info(source: str | Path) -> ImageInfo:
    """What the multiscale image at `source` says of itself, checked against its arrays. Reads no voxels.

    `source` is the folder or URL of an image, or of one label image (``image.zarr/labels/cells``).
    """
    where = absolute(source)
    group = open_group(where)
    attributes = attributes_of(group)
    if kind := kind_of(attributes):
        raise SeveralImagesError(why_not_one(where, kind))
    found = parse_multiscale(attributes, source=where)
    axes = tuple(a.name for a in found.axes)
    levels = checked_levels(group, len(axes), where, found.datasets)
    count = levels[0].shape[axes.index("c")] if "c" in axes else 1
    names, stale = _label_names(group, where)
    return ImageInfo(
        source=where,
        version=found.version,
        zarr_format=group.metadata.zarr_format,
        axes=axes,
        units=tuple(a.unit for a in found.axes),
        levels=levels,
        channels=channel_names(attributes, count),
        windows=contrast_windows(attributes, count),
        labels=names,
        stale=stale,
        holds=_held(attributes),
        steps=found.datasets[0][1],
        sizes_from=sizes_from(attributes),
    )


def open_image(
    source: str | Path,
    *,
    level: int = 0,
    channels: Sequence[int | str] | None = None,
    time: int = 0,
    region: Box | None = None,
    backward: bool = False,
) -> ZarrVolume:
    """Open an OME-Zarr image as a volume, without reading a voxel.

    Parameters
    ----------
    source
        The image, or one label image (``image.zarr/labels/cells``): a folder, a zip or a URL.
    level
        Which resolution; 0 is the finest.
    channels
        Numbers or names; None for all.
    time
        Which time point.
    region
        The part (z, y, x) of the level that the volume shows; None for all.
    backward
        Also open an image whose scale is negative: its places are mirrored, which none of ours are.

    Returns
    -------
    ZarrVolume
        What `read` gives boxes of, ``(channel, z, y, x)``. It can be pickled.

    Raises
    ------
    InputError
        If it is no OME-Zarr image, or lacks the level, the channel, the time or the region.

    Examples
    --------
    >>> volume = open_image("brain.zarr", channels=["nuclei"])          # doctest: +SKIP
    >>> volume.read(Box((0, 0, 0), (8, 64, 64))).shape                   # doctest: +SKIP
    (1, 8, 64, 64)
    """
    info = read_info(source)
    shown = without_credentials(info.source)
    if not 0 <= level < len(info.levels):
        raise InputError(
            f"{shown} has {len(info.levels)} levels; level {level} is not one of 0..{len(info.levels) - 1}"
        )
    times = info.length("t")
    if not 0 <= time < times:
        raise InputError(f"{shown} has {times} time points; time {time} is not one of 0..{times - 1}")
    whole = Box.of(info.extent(level))
    region = whole if region is None else region
    if len(region.start) != 3 or region.is_empty or region not in whole:
        raise InputError(
            f"region {region.start}..{region.stop} does not lie in level {level} of {shown}, which has "
            f"extent {whole.shape} (z, y, x); give a region with voxels inside it"
        )
    if not backward:
        check_forward(info)
    indices = _channel_indices(info, channels)
    digest = metadata_digest(open_group(info.source), info.levels[level].path)
    return ZarrVolume(info, level, indices, time, region, digest, filled=bool(info.holds) or filled_by_setting())


def check_forward(info: ImageInfo) -> None:
    """Refuse an image with a negative scale: its places are mirrored, which none of ours are."""
    shown, against = without_credentials(info.source), info.spacing().backward
    if against:
        again = command("convert", shown, f"{Path(shown).stem}-forward.zarr")
        raise InputError(
            f"{shown} goes backwards along {', '.join(against)} (scale {info.steps}), wanted steps above 0, as places "
            f"would be mirrored; write the same voxels with such steps: {again}"
        )


def _channel_indices(info: ImageInfo, wanted: Sequence[int | str] | None) -> tuple[int, ...]:
    if wanted is None:
        return tuple(range(len(info.channels)))
    if not wanted or isinstance(wanted, str):
        raise InputError(f"channels={wanted!r}: wanted a list with at least one of {listed(info.channels)}")
    return find_channels(info.channels, wanted, without_credentials(info.source))


def _held(attributes: Mapping[str, Any]) -> str:
    """What a store says it holds: "flows" or whatever one of ours says, "labels" of anyone, else nothing."""
    ours = attributes.get("bigcell")
    holds = ours.get("holds") if isinstance(ours, Mapping) else None
    if isinstance(holds, str):
        return holds
    return "labels" if "image-label" in ome_of(attributes) else ""


def _label_names(group: zarr.Group, source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels that the store lists, and the names in its list that are none, or are not there."""
    try:
        labels = group["labels"]
    except Exception:  # no labels, or none that can be read: the image is usable all the same
        return (), ()
    found = ome_of(attributes_of(labels)).get("labels") if isinstance(labels, zarr.Group) else None
    listed = list(dict.fromkeys(map(str, found))) if isinstance(found, list) else []
    names = tuple(n for n in listed if is_part(n) and not n.startswith(".") and _is_there(source, n))
    return names, tuple(n[:80] for n in listed if n not in names)


def _is_there(source: str, name: str) -> bool:
    """Whether labels are there; of those elsewhere that is found out when they are opened."""
    return is_url(source) or group_is_there(joined(source, "labels", name))


@lru_cache(maxsize=64)
def _open_array(source: str, path: str, digest: str, *, filled: bool = True) -> zarr.Array[Any]:
    """One open array a process. `digest` is in the key, so that a rewritten array is opened anew."""
    array = open_group(source, patient=True)[path]
    assert isinstance(array, zarr.Array), digest
    return with_missing(array, filled=filled)


def _raise_if_away(error: Exception, source: str) -> None:
    """A server that does not answer is no fault of the image: the run stops there and can be resumed."""
    if is_url(source):
        from bigcell.io.stores.remote import explain, is_remote_error

        cause: BaseException | None = error
        while cause is not None:
            if is_remote_error(cause) and type(cause).__name__ != "NotSupportedError":
                raise ConnectionError(f"{without_credentials(source)} cannot be read: {explain(cause)}") from error
            cause = cause.__cause__
