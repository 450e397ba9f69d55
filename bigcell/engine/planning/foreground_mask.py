"""From what the user gives, a mask or an intensity, to the foreground of a volume."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, isfinite, prod
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from bigcell.core.axes import Zyx
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.format import shape
from bigcell.core.volume import Array, Volume
from bigcell.engine.planning.foreground import note_of
from bigcell.engine.planning.plan import Plan
from bigcell.io.formats.arrays import as_volume
from bigcell.io.ngff.image import ZarrVolume, open_image, read_info
from bigcell.io.stores.urls import without_credentials
from bigcell.preprocess.channels import grey
from bigcell.preprocess.foreground import Foreground, Span, cell_counts, cell_side, grown, occupied, span

MOST_READ = 1 << 29
"""Voxels of a mask, or of a level, that are looked at. Of a pyramid the finest level is taken that has no more."""
DIAMETER = 30.0
"""Voxels by which what is bright enough is grown where no diameter is known; Cellpose's default."""


Found = tuple[Foreground, dict[str, Any]]
"""A foreground, and what the plan says of where it comes from."""


@dataclass(frozen=True)
class _Field:
    """The voxels that a mask is laid over: those of the whole image, of which the volume shows `extent` from `offset`
    on. `size`: voxels, in µm where `known`."""

    whole: Zyx
    extent: Zyx
    offset: Zyx
    size: tuple[float, float, float]
    known: bool

    @classmethod
    def of(cls, volume: Volume) -> _Field:
        whole, offset = volume.extent, (0, 0, 0)
        if isinstance(volume, ZarrVolume):
            whole, offset = volume.info.extent(volume.level), volume.offset
        return cls(whole, volume.extent, offset, volume.spacing.zyx, volume.spacing.known)


def with_foreground(
    plan: Plan, image: Volume | None, given: Volume | None, wanted: float | Volume
) -> tuple[Plan, Foreground]:
    """`plan` for the foreground alone, and that foreground. `wanted`: an intensity of the image, or a mask.

    A mask covers the field of the image, in voxels of any size, and is not zero where there may be cells. Of an
    intensity: what is brighter (darker, if the image is to be inverted) in the first channel, and a cell's diameter
    around it. Raises InputError if it holds nothing, or lies over another field.
    """
    if plan.settings.normalize.by == "tile":
        raise SettingsError(
            "tile_norm_blocksize measures tiles of all of the image, foreground leaves parts of it unread: give one of "
            "them"
        )
    if isinstance(wanted, (int, float)):
        found, source = _bright(plan, image, float(wanted))
    else:
        volume = image if image is not None else given
        assert volume is not None
        found, source = _masked(plan, _Field.of(volume), wanted)
    return replace(plan, foreground=note_of(plan, found, source)), found


def open_foreground(source: Any, time: int = 0) -> tuple[float | Volume | None, dict[str, Any] | None]:
    """What the user gave as foreground, opened, and what opens it again (None for an array in memory).

    `source`: an intensity, an OME-Zarr mask (path), an array or volume; of a mask with several times that of the image.
    """
    if source is None:
        return None, None
    if isinstance(source, bool | np.bool_):
        raise SettingsError(f"foreground {source}: wanted an intensity of the image, as in 120, or a mask")
    if isinstance(source, Real):
        return float(source), {"threshold": float(source)}
    if not isinstance(source, str | Path):
        return as_volume(source), None
    mask = open_image(source, time=time if read_info(source).length("t") > 1 else 0)
    return mask, {"source": without_credentials(mask.info.source), "time": mask.time}  # it is kept


def reopen_foreground(again: Mapping[str, Any] | None) -> float | Volume | None:
    """What `open_foreground` told how to open again."""
    if not again:
        return None
    if "threshold" in again:
        return float(again["threshold"])
    return open_image(again["source"], time=int(again["time"]))


def _masked(plan: Plan, field: _Field, mask: Volume) -> Found:
    mask = _readable(mask)
    if len(mask.channels) != 1:
        raise InputError(f"the mask has {len(mask.channels)} channels ({', '.join(mask.channels)}); wanted one")
    ratios = _ratios(field, _Field.of(mask))
    found = _cells(plan, field, ratios, mask.extent, lambda box: np.not_equal(mask.read(box)[0], 0))
    source = _identity(mask)
    if not found.cells.any():
        raise InputError(f"the mask {source['source']} is zero everywhere in the volume; give one that is not")
    return found, {"mask": source}


def _readable(mask: Volume) -> Volume:
    """The finest level of a mask that is not too large to be looked at."""
    if not isinstance(mask, ZarrVolume):
        return mask
    levels = range(mask.level, len(mask.info.levels))
    level = next((i for i in levels if prod(mask.info.extent(i)) <= MOST_READ), None)
    if level is None:
        last = mask.info.extent(len(mask.info.levels) - 1)
        raise InputError(
            f"the mask {without_credentials(mask.info.source)} has {shape(last)} voxels in its coarsest level, "
            f"{MOST_READ:.2g} can be looked at: give a coarser one, any resolution will do"
        )
    return open_image(mask.info.source, level=level, channels=list(mask.indices), time=mask.time)


def _bright(plan: Plan, image: Volume | None, threshold: float) -> Found:
    if image is None:
        raise SettingsError(f"foreground {threshold:g} is an intensity, and no image is given: give one, or a mask")
    if not isfinite(threshold):
        raise SettingsError(f"foreground {threshold:g}: wanted an intensity of the image, as in 120, or a mask")
    s, level = plan.settings, _coarse(image, whole=plan.settings.normalize.grey)
    beyond = np.less if s.normalize.invert else np.greater

    def read(box: Box) -> Array:
        values = level.read(box)
        found: Array = beyond(grey(values)[0] if s.normalize.grey else values[0], threshold)
        return found

    field, at = _Field.of(image), getattr(level, "level", 0)
    found = _cells(plan, field, _ratios(field, _Field.of(level)), level.extent, read)
    if not found.cells.any():
        raise InputError(
            f"no voxel of level {at} is {'darker' if s.normalize.invert else 'brighter'} than {threshold:g}, so there "
            "is nothing to segment: give another --foreground, or none"
        )
    across = s.diameter or DIAMETER
    margin = (across / s.anisotropy if plan.is_solid else 0, across, across)
    z, y, x = (ceil(m / n) for m, n in zip(margin, found.side, strict=True))
    return replace(found, cells=grown(found.cells, (z, y, x))), {"threshold": threshold, "level": at}


def _coarse(image: Volume, *, whole: bool) -> Volume:
    """The level of the image that the intensity is looked for in: the finest of the coarser ones that is not too large;
    the image itself where it has none. `whole`: all channels of the image, not only the first."""
    if not isinstance(image, ZarrVolume):
        return image
    last = len(image.info.levels)
    wanted = [i for i in range(image.level + 1, last) if prod(image.info.extent(i)) <= MOST_READ]
    if not wanted and (image.level + 1 < last or prod(image.info.extent(image.level)) > MOST_READ):
        raise InputError(
            f"{without_credentials(image.info.source)} has no level of at most {MOST_READ:.2g} voxels to look for its "
            "foreground in: give it a pyramid (`bigcell convert` makes one), or give a mask of any resolution"
        )
    channels = list(image.indices if whole else image.indices[:1])
    level = wanted[0] if wanted else image.level
    return open_image(image.info.source, level=level, channels=channels, time=image.time)


def _cells(
    plan: Plan, field: _Field, ratios: tuple[float, ...], counts: Zyx, read: Callable[[Box], Array]
) -> Foreground:
    """The foreground that a mask of `counts` voxels, each of `ratios` voxels of the image, leaves in the volume."""
    extent, side = field.extent, cell_side(field.extent, plan.settings.anisotropy)
    spans: list[Span] = [span(a, extent, side, field.offset[a], ratios[a], counts[a]) for a in range(3)]
    cells = occupied(read, (spans[0], spans[1], spans[2]))
    assert cells.shape == cell_counts(extent, side)
    return Foreground(cells, side, extent)


def _ratios(field: _Field, mask: _Field) -> tuple[float, ...]:
    """Voxels of the image that one of the mask is long, along z, y and x: by what both say of their voxels' sizes if
    that fits their extents, else by their extents. Raises InputError if they cannot be of one field."""
    by_size = [b / a for a, b in zip(field.size, mask.size, strict=True)]
    fits = [abs(n / r - m) <= 1 for n, m, r in zip(field.whole, mask.extent, by_size, strict=True)]
    flat = mask.extent[0] == 1  # one plane stands for all
    if all(fits[1:]) and (fits[0] or flat):
        return (float(field.whole[0]) if flat else by_size[0], *by_size[1:])
    if field.known and mask.known:
        raise InputError(
            f"{_told(mask)} of the mask and {_told(field)} of the image are not the same field: "
            "give a mask of the whole image, in voxels of any size"
        )
    ends = [(n / (m + 1), n / max(m - 1, 0.5)) for n, m in zip(field.whole[1:], mask.extent[1:], strict=True)]
    if max(a for a, _ in ends) > min(b for _, b in ends):
        raise InputError(
            f"the mask has {shape(mask.extent)} voxels, the image {shape(field.whole)} (z, y, x): along y and x these "
            "are not the same field; give a mask of the whole image, in voxels of any size"
        )
    return tuple(n / m for n, m in zip(field.whole, mask.extent, strict=True))


def _told(field: _Field) -> str:
    size = " x ".join(f"{s:.4g}" for s in field.size)
    return f"{shape(field.whole)} voxels of {size} µm"


def _identity(mask: Volume) -> dict[str, Any]:
    if isinstance(mask, ZarrVolume):
        return mask.identity()
    return {"source": "array in memory", "shape": list(mask.extent)}
