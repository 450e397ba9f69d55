"""What is compared: two label volumes opened wherever they lie, held against one another, and the boxes looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from bigcell.core.axes import ZYX, Spacing, Zyx
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.format import shape
from bigcell.core.names import find_name
from bigcell.core.volume import ArrayVolume, Volume
from bigcell.io.formats.arrays import ArraySource, LazyVolume, as_volume, is_volume
from bigcell.io.formats.convert import open_pixels
from bigcell.io.formats.pictures import PlanesVolume
from bigcell.io.formats.tiff import TiffVolume
from bigcell.io.ngff.image import ZarrVolume, open_image, read_info
from bigcell.io.stores.location import group_is_there
from bigcell.io.stores.urls import absolute, is_url, joined, without_credentials
from bigcell.tiling.grid import BlockGrid

Source = str | Path | ArraySource

FOUND, TRUTH = "what was found", "the truth"
"""What the two sides are called where they have no file."""

BLOCK_VOXELS = 1 << 23
"""Voxels of a block, at most, unless its chunks are larger: what a worker reads of either labelling at a time."""


@dataclass(frozen=True)
class MappedVolume(ArrayVolume):
    """The array of a file, which knows where it came from."""

    path: Path = Path()


@dataclass(frozen=True)
class Compared:
    """Two label volumes of one extent, and the boxes of it that are compared."""

    found: Volume
    truth: Volume
    boxes: tuple[Box, ...]

    @property
    def spacing(self) -> Spacing:
        """The voxel size of the side that knows more of it, the truth's where both know as much."""
        return self._measured.spacing

    @property
    def origin_um(self) -> tuple[float, float, float]:
        """Where the centre of voxel (0, 0, 0) lies."""
        volume = self._measured
        return volume.origin_um if isinstance(volume, ZarrVolume) else (0.0, 0.0, 0.0)

    @property
    def _measured(self) -> Volume:
        return max(self.truth, self.found, key=lambda v: (sum(map(v.spacing.in_um, ZYX)), v.spacing.compares("z")))

    @property
    def in_memory(self) -> bool:
        """Whether either is an array: it would be copied to every process."""
        return any(isinstance(volume, ArrayVolume | LazyVolume) for volume in (self.found, self.truth))

    def parts(self, block: Zyx | None = None) -> list[tuple[Box, Box]]:
        """The blocks to do: the voxels that each counts, and the box of the comparison that they are in."""
        grid = BlockGrid(self.truth.extent, block or block_shape(self.found))
        return [(grid.core(n) & box, box) for box in self.boxes for n in grid.touching(box)]


def open_compared(found: Volume, truth: Volume, boxes: Sequence[Box] | None) -> Compared:
    """The two held against one another: InputError where they are not labels of the same voxels."""
    if found.extent != truth.extent:
        a, b = f"{shown(found, FOUND)} has {shape(found.extent)}", f"{shown(truth, TRUTH)} has {shape(truth.extent)}"
        raise InputError(f"{a} voxels (z y x), {b}; wanted the same extent: cut or scale one of them")
    return Compared(found, truth, _checked(boxes, truth.extent))


def open_labels(source: Source, *, name: str | None = None, time: int | None = None, axes: str | None = None) -> Volume:
    """Labels as a volume: an array, a file or folder of images, an OME-Zarr label image, or an OME-Zarr with labels.

    `name`: which labels of an OME-Zarr; needed where it has several. `time`: which of several time points. `axes`: of
    a file that does not say them.
    """
    volume = _opened(source, name, time, axes)
    called = shown(volume, str(source) if isinstance(source, str | Path) else "the array")
    if len(volume.channels) != 1:
        raise InputError(f"{called} has {len(volume.channels)} channels, wanted labels, which have one")
    if volume.dtype.kind not in "iu":
        raise InputError(f"{called} holds {volume.dtype}, wanted labels, which are whole numbers")
    return volume


def shown(volume: Volume, otherwise: str) -> str:
    """What a label volume is called in a message: its file, or `otherwise` for one in memory."""
    if isinstance(volume, ZarrVolume):
        return without_credentials(volume.info.source)
    if isinstance(volume, PlanesVolume):
        return str(volume.files[0].parent)
    return str(volume.path) if isinstance(volume, TiffVolume | MappedVolume) else otherwise


def block_shape(volume: Volume, voxels: int = BLOCK_VOXELS) -> Zyx:
    """Blocks of whole chunks (shards) as large as `voxels` allow, whole planes of what has no chunks.

    >>> import numpy as np
    >>> block_shape(ArrayVolume(np.zeros((100, 1000, 1000), np.uint8)))
    (8, 1000, 1000)
    """
    sides = [1, *volume.extent[1:]]
    if isinstance(volume, ZarrVolume):
        level, axes = volume.info.levels[volume.level], volume.info.axes
        stored = level.shards or level.chunks
        sides = [stored[axes.index(a)] if a in axes else 1 for a in ZYX]
    for axis in (2, 1, 0):
        rest = prod(sides) // sides[axis]
        fitting = voxels // (rest * sides[axis])
        sides[axis] = min(volume.extent[axis], sides[axis] * max(1, fitting))
    return (sides[0], sides[1], sides[2])


def _opened(source: Source, name: str | None, time: int | None, axes: str | None) -> Volume:
    if isinstance(source, str | Path):
        if is_url(source) or group_is_there(absolute(source)):
            return _of_zarr(source, name, time)
        if name is not None:
            raise SettingsError(f"{source} is not an OME-Zarr, so it has no labels {name!r}; leave the name out")
        volumes = open_pixels(source, axes=axes)
        volume = volumes[_time(time, len(volumes), str(source))]
        if isinstance(volume, ArrayVolume):
            return MappedVolume(volume.array, volume.spacing, volume.channels, path=Path(source))
        return volume
    if name is not None:
        raise SettingsError(f"labels {name!r} are looked for in an OME-Zarr; an array has no names")
    return as_volume(source, axes=None if is_volume(source) else axes)


def _of_zarr(source: str | Path, name: str | None, time: int | None) -> ZarrVolume:
    info = read_info(source)
    place = without_credentials(info.source)
    if info.labels and name is None and len(info.labels) > 1:
        raise InputError(f"{place} has labels {', '.join(info.labels)}; say which")
    chosen = find_name(name, info.labels) if name is not None else next(iter(info.labels), None)
    if name is not None and chosen is None:
        raise InputError(f"{place} has no labels {name!r}; it has: {', '.join(info.labels) or 'none'}")
    if chosen is not None:
        info = read_info(joined(info.source, "labels", chosen))
    return open_image(info.source, time=_time(time, info.length("t"), without_credentials(info.source)))


def _time(wanted: int | None, count: int, place: str) -> int:
    """The time point to take; one that is there alone is taken whatever is wanted of the other labelling."""
    if count == 1:
        return 0
    if wanted is None or not 0 <= wanted < count:
        raise SettingsError(f"{place} has {count} time points; say which one to compare, 0 to {count - 1}")
    return wanted


def _checked(boxes: Sequence[Box] | None, extent: Zyx) -> tuple[Box, ...]:
    """The boxes, or the whole: each in the volume, none empty, and none twice."""
    whole = Box.of(extent)
    if boxes is None:
        return (whole,)
    if not boxes:
        raise SettingsError("no box was given to compare; give one, or none to compare all")
    for box in boxes:
        if len(box.start) != 3 or box.is_empty or box not in whole:
            raise SettingsError(f"box {box.start}..{box.stop} does not lie in the labels of {shape(extent)} voxels")
    for one, other in _meeting(sorted(boxes)):
        raise SettingsError(f"boxes {one.start}..{one.stop} and {other.start}..{other.stop} overlap; wanted them apart")
    return tuple(boxes)


def _meeting(boxes: Sequence[Box]) -> Iterator[tuple[Box, Box]]:
    """Pairs of sorted boxes that share voxels."""
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            if other.start[0] >= one.stop[0]:
                break
            if not (one & other).is_empty:
                yield one, other
