"""OME-Zarr metadata (NGFF 0.4 to 0.6) read into checked, frozen values. Nothing in a file is believed unseen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from bigcell.core.axes import LEAST, MOST, ZYX, Spacing
from bigcell.core.documents import is_number
from bigcell.core.errors import InputError
from bigcell.core.names import is_below, is_part
from bigcell.core.units import um_per
from bigcell.io.ngff.coordinate_systems import as_older, is_06
from bigcell.io.stores.location import ome_of
from bigcell.io.stores.urls import without_credentials

AXES = "tczyx"
MOST_LEVELS = 64


@dataclass(frozen=True)
class Axis:
    """One axis of a file: its letter (t c z y x) and unit, if it says one."""

    name: str
    unit: str | None = None


@dataclass(frozen=True)
class LevelInfo:
    """One resolution level; every tuple follows the file's axes. `scale` is above 0: where the file's is not, it is the
    size of a step backwards, or stands in for one that is none (see `ImageInfo.steps`)."""

    path: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class ImageInfo:
    """What a multiscale image says of itself, checked against its arrays; no voxel was read for it.

    `holds`: "flows" where a store of ours says so, "labels" of anyone. `stale`: what its list of labels names, and
    is not there or is no name. `steps`: the scale of the first level as the file has it. `sizes_from`: where the sizes
    that we wrote came from, by axis.
    """

    source: str
    version: str
    zarr_format: int
    axes: tuple[str, ...]
    units: tuple[str | None, ...]
    levels: tuple[LevelInfo, ...]
    channels: tuple[str, ...]
    windows: tuple[tuple[float, float] | None, ...]
    labels: tuple[str, ...]
    holds: str = ""
    stale: tuple[str, ...] = ()
    steps: tuple[float, ...] = ()
    sizes_from: Mapping[str, str] = field(default_factory=dict)

    def length(self, axis: str, level: int = 0) -> int:
        """Voxels along `axis`, 1 where the file has no such axis."""
        return self.levels[level].shape[self.axes.index(axis)] if axis in self.axes else 1

    def extent(self, level: int = 0) -> tuple[int, int, int]:
        """Voxels along z, y, x."""
        z, y, x = (self.length(a, level) for a in ZYX)
        return (z, y, x)

    def spacing(self, level: int = 0) -> Spacing:
        """Voxel size of `level`, axis by axis: in µm where the file says a unit of length.

        A plane has no depth: it counts as 1 µm thick, so that volumes in µm³ are areas in µm².
        """
        found = [self._size(a, level) for a in ZYX]
        sizes, units, sources = ([one[i] for one in found] for i in range(3))
        return Spacing.measured(sizes, units, sources)  # type: ignore[arg-type]

    def origin(self, level: int = 0) -> tuple[float, float, float]:
        """Where the centre of the first voxel of `level` lies along z, y, x, in the unit of `spacing`."""
        z, y, x = (
            0.0 if self.lacks(a) else self._number("translation", a, level) * (um_per(self.unit(a)) or 1.0) for a in ZYX
        )
        return (z, y, x)

    def unit(self, axis: str) -> str | None:
        """The unit that the file says for `axis`, if any."""
        return self.units[self.axes.index(axis)]

    def lacks(self, axis: str) -> bool:
        """Whether `axis` is the depth of a plane, of which no size is said, or no unit."""
        if axis not in self.axes:
            return True
        unsaid = um_per(self.unit(axis)) is None or self.steps[self.axes.index(axis)] == 0
        return axis == "z" and self.length("z") == 1 and unsaid

    def _size(self, axis: str, level: int) -> tuple[float | None, str | None, str]:
        """Size, unit and source of a voxel along `axis`."""
        if self.lacks(axis):
            return 1.0, "µm", "a plane, which counts as 1 µm thick"
        step, unit = self.steps[self.axes.index(axis)], self.unit(axis)
        source = f"scale {step:g} " + (f"{unit[:40]!r}" if unit else "without a unit")
        if axis in self.sizes_from:
            source += f", from {self.sizes_from[axis]}"
        if step == 0:
            return None, None, source
        return math.copysign(self._number("scale", axis, level), step), unit, source

    def _number(self, what: Literal["scale", "translation"], axis: str, level: int) -> float:
        numbers: tuple[float, ...] = getattr(self.levels[level], what)
        return numbers[self.axes.index(axis)]


@dataclass(frozen=True)
class Multiscale:
    """The checked content of a ``multiscales`` entry: axes, and for each level its path, scale and translation."""

    version: str
    axes: tuple[Axis, ...]
    datasets: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...]


def parse_multiscale(attributes: Mapping[str, Any], *, source: str) -> Multiscale:
    """The first multiscale image of a group's `attributes`; an InputError says what is wrong with it."""
    shown = without_credentials(source)
    ome = ome_of(attributes)
    entries = ome.get("multiscales")
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        raise InputError(_why_not_an_image(shown, ome))
    entry = entries[0]
    if not isinstance(entry, Mapping):
        raise InputError(f"{shown}: multiscales holds {type(entry).__name__}, wanted objects; repair the metadata")
    version = _version(shown, attributes, entry)
    entry = as_older(shown, entry) if is_06(version) else entry
    axes = _axes(shown, entry.get("axes"))
    datasets = entry.get("datasets")
    if not isinstance(datasets, list) or not datasets:
        raise InputError(f"{shown}: multiscales lists no datasets, wanted at least one level; repair the metadata")
    if len(datasets) > MOST_LEVELS:
        raise InputError(f"{shown}: {len(datasets)} levels, wanted at most {MOST_LEVELS}; repair the metadata")
    names = "".join(a.name for a in axes)
    outer = _transform(shown, entry.get("coordinateTransformations"), names, required=False)
    return Multiscale(version, axes, tuple(_dataset(shown, d, names, outer) for d in datasets))


def sizes_from(attributes: Mapping[str, Any]) -> dict[str, str]:
    """What a store that we wrote says of where its voxel sizes came from, by axis."""
    ours = attributes.get("bigcell")
    found = ours.get("sizes_from") if isinstance(ours, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    return {a: str(found[a])[:200] for a in ZYX if isinstance(found.get(a), str)}


def channel_names(attributes: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """The names in ``omero``, or "0", "1", ... where it names none, or not as many as there are channels."""
    entries = _omero_channels(attributes)
    labels = [c.get("label") for c in entries] if len(entries) == count else []
    labels = labels or [None] * count
    return tuple(label if isinstance(label, str) and label else str(i) for i, label in enumerate(labels))


def contrast_windows(attributes: Mapping[str, Any], count: int) -> tuple[tuple[float, float] | None, ...]:
    """Start and end of each channel's contrast window in ``omero``, None where there is no usable one."""
    entries = _omero_channels(attributes)
    if len(entries) != count:
        return (None,) * count
    return tuple(_window(c.get("window")) for c in entries)


def _window(window: object) -> tuple[float, float] | None:
    if not isinstance(window, Mapping) or not all(is_number(window.get(k)) for k in ("start", "end")):
        return None
    return (float(window["start"]), float(window["end"]))


def _omero_channels(attributes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    omero = ome_of(attributes).get("omero")
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    return [c for c in channels if isinstance(c, Mapping)] if isinstance(channels, list) else []


def _why_not_an_image(shown: str, ome: Mapping[str, Any]) -> str:
    if isinstance(ome.get("labels"), list):
        return f"{shown} is a list of label images; name one of them: {_names(ome['labels'])}"
    return f"{shown} is a zarr group without multiscales metadata; give the folder that holds an OME-Zarr image"


def _names(found: Sequence[object]) -> str:
    return ", ".join(str(n) for n in found if is_part(n)) or "none"


def _version(shown: str, attributes: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    is_05 = isinstance(attributes.get("ome"), Mapping)
    found = str(attributes["ome"].get("version", "0.5") if is_05 else entry.get("version", "0.4"))
    if not (found in ("0.4", "0.5") or is_06(found)) or (found != "0.4") != is_05:
        raise InputError(
            f"{shown} is OME-Zarr {found}, wanted 0.4, 0.5 or 0.6; rewrite it with a current ome-zarr tool"
        )
    return found


def _axes(shown: str, entries: object) -> tuple[Axis, ...]:
    if not isinstance(entries, list) or not all(
        isinstance(a, Mapping) and isinstance(a.get("name"), str) for a in entries
    ):
        raise InputError(f"{shown}: the axes have no names, wanted a list such as z, y, x; repair the metadata")
    names = [a["name"].lower() for a in entries]
    unknown = [n for n in names if n not in AXES or len(n) != 1]
    if unknown:
        raise InputError(f"{shown}: axis {unknown[0]!r} is unknown, wanted t, c, z, y, x; repair the metadata")
    if len(set(names)) < len(names):
        raise InputError(f"{shown}: the axes {', '.join(names)} repeat one, wanted each once; repair the metadata")
    if not {"y", "x"} <= set(names):
        raise InputError(f"{shown}: the axes are {', '.join(names)}, wanted at least y and x; repair the metadata")
    units = (a.get("unit") for a in entries)
    return tuple(Axis(n, u if isinstance(u, str) else None) for n, u in zip(names, units, strict=True))


Transform = tuple[tuple[float, ...], tuple[float, ...]]


def _dataset(
    shown: str, entry: object, axes: str, outer: Transform
) -> tuple[str, tuple[float, ...], tuple[float, ...]]:
    path = entry.get("path") if isinstance(entry, Mapping) else None
    if not isinstance(path, str) or not path.strip("/"):
        raise InputError(f"{shown}: a level names no path; repair the metadata")
    if not is_below(path.rstrip("/")):
        raise InputError(
            f"{shown}: level path {path!r} leads out of the store, wanted one inside; do not trust this file"
        )
    assert isinstance(entry, Mapping)
    scale, move = _transform(f"{shown}, level {path!r}", entry.get("coordinateTransformations"), axes, required=True)
    size = tuple(a * b for a, b in zip(scale, outer[0], strict=True))
    corner = tuple(m * s + o for m, s, o in zip(move, *outer, strict=True))
    if not all(s == 0 or LEAST < abs(s) < MOST for s in size) or not all(abs(c) < MOST for c in corner):
        raise InputError(
            f"{shown}, level {path!r}: voxels of {size} at {corner} are of no size that an image has, wanted numbers "
            f"from {LEAST:g} to {MOST:g}; repair the metadata"
        )
    return path.strip("/"), size, corner


def _transform(shown: str, entries: object, axes: str, *, required: bool) -> Transform:
    """Scale and translation of a coordinateTransformations list, checked; identity where none is required.

    What is no positive number along t and c, which nothing is measured by, is 1.
    """
    ndim = len(axes)
    scale, move = (1.0,) * ndim, (0.0,) * ndim
    if entries is None and not required:
        return scale, move
    given = entries if isinstance(entries, list) else []
    kinds = [str(e.get("type")) if isinstance(e, Mapping) else type(e).__name__ for e in given]
    if required and "scale" not in kinds:
        raise InputError(f"{shown} has no scale in coordinateTransformations; repair the metadata")
    if not set(kinds) <= {"scale", "translation", "identity"}:
        raise InputError(f"{shown} has transformations {kinds}, wanted scale, then translation; repair the metadata")
    for entry in given:
        if entry.get("type") == "scale":
            scale = _numbers(shown, "scale", _measurable(entry.get("scale"), axes), ndim)
        elif entry.get("type") == "translation":
            move = _numbers(shown, "translation", entry.get("translation"), ndim)
    return scale, move


def _measurable(scale: object, axes: str) -> object:
    """The `scale` of a file, if it is one, with 1 where it is no step along t or c."""
    if not isinstance(scale, list) or len(scale) != len(axes):
        return scale
    bad = [a in "tc" and not (is_number(s) and LEAST < s < MOST) for a, s in zip(axes, scale, strict=True)]
    return [1.0 if b else s for b, s in zip(bad, scale, strict=True)]


def _numbers(shown: str, what: str, values: object, ndim: int) -> tuple[float, ...]:
    if not isinstance(values, list) or len(values) != ndim or not all(is_number(v) for v in values):
        raise InputError(
            f"{shown} has the {what} {str(values)[:100]}, wanted {ndim} finite numbers, one an axis; repair it"
        )
    return tuple(float(v) for v in values)
