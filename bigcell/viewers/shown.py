"""What there is to show at a path: the image, its labels, where an object lies in them, and good contrast."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from bigcell.core.axes import ZYX
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.names import find_name
from bigcell.core.units import um_per
from bigcell.core.volume import Array
from bigcell.io.ngff.image import ZarrVolume, open_image, read_info
from bigcell.io.ngff.metadata import ImageInfo
from bigcell.io.stores.location import attributes_of, ome_of, open_group
from bigcell.io.stores.urls import is_url, without_credentials
from bigcell.io.tables import find_object
from bigcell.report.colours import window

TABLE = "objects.parquet"
SECONDS = {"second": 1.0, "millisecond": 1e-3, "microsecond": 1e-6, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
PIECE = 2**24  # voxels read at a time
SAMPLE = (24, 768, 768)  # the middle of the coarsest level that contrast is measured on, where it is larger


@dataclass(frozen=True)
class Shown:
    """An image, label images by name, or both. `notices`: sentences about what the store names and is not shown."""

    image: ImageInfo | None
    labels: dict[str, ImageInfo]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """An object in its labels: a voxel of it near its centroid, and its bounding box, both in level 0 (z, y, x)."""

    centre: tuple[int, int, int]
    box: Box


def find_shown(
    store: str | Path, *, labels: str | None = None, image: str | Path | None = None, shared: bool = False
) -> Shown:
    """Image and labels at `store`: an image with labels in it, a store of labels, or one label image.

    Of labels alone, the image they say they were made from is taken if it is there. `shared`: others than this machine
    will look, so that nothing outside of the store is taken because metadata or links say so. Raises InputError for a
    path that is neither, and for `labels` that are not there (it lists those that are).
    """
    for path in (store, image):
        if path is not None and is_url(path):
            shown = without_credentials(str(path))
            raise InputError(f"{shown} is a URL; a view is made of local folders: copy it, or give a mounted path")
    info = read_info(store)
    is_labels = info.holds == "labels"
    notices: tuple[str, ...] = ()
    if is_labels and not info.labels:
        found = {Path(info.source).name: info}
    else:
        chosen = None if labels is None else find_name(labels, info.labels)
        if labels is not None and chosen is None:
            raise InputError(f"{info.source} has no labels {labels!r}; it has: {', '.join(info.labels) or 'none'}")
        found, notices = _labels_of(info, chosen, shared)
    if labels is not None and find_name(labels, found) is None:
        raise InputError(f"{info.source} has no labels {labels!r}; it has: {', '.join(found) or 'none'}")
    for name, one in found.items():
        if one.levels[0].dtype.kind not in "ui":
            raise InputError(f"labels {name!r} of {info.source} are {one.levels[0].dtype}, wanted unsigned integers")
    if image is not None:
        return Shown(read_info(image), found, notices)
    if not is_labels:
        return Shown(info, found, notices)
    if not found:
        raise InputError(f"{info.source} has nothing that can be shown: {'; '.join(notices)}")
    home = Path(info.source) if shared else None
    return Shown(next((s for one in found.values() if (s := _source_image(one, home))), None), found, notices)


def _labels_of(info: ImageInfo, only: str | None, shared: bool) -> tuple[dict[str, ImageInfo], tuple[str, ...]]:
    """The label images that a store lists (or only one), and what is to be said of those that cannot be shown."""
    found: dict[str, ImageInfo] = {}
    notices = [f"labels {name!r} are listed in {info.source}, but are no labels in it" for name in info.stale]
    for name in info.labels if only is None else (only,):
        try:
            one = read_info(f"{info.source}/labels/{name}")
        except InputError as error:
            if only is not None:
                raise
            notices.append(f"labels {name!r} are not shown: {error}")
            continue
        if shared and not Path(one.source).is_relative_to(info.source):
            notices.append(f"labels {name!r} are a link out of {info.source}; they are shown on this machine alone")
        else:
            found[name] = one
    return found, tuple(notices)


def _source_image(labels: ImageInfo, home: Path | None) -> ImageInfo | None:
    """The image that label metadata point to, if it is a local OME-Zarr, in `home` where that is said."""
    about = ome_of(attributes_of(open_group(labels.source))).get("image-label")
    source = about.get("source") if isinstance(about, dict) else None
    path = source.get("image") if isinstance(source, dict) else None
    if not isinstance(path, str) or is_url(path) or path.startswith(("/", "~", "\\")):
        return None
    try:
        found = read_info(f"{labels.source}/{path}")
    except (InputError, OSError):  # the labels were moved away from their image: show them alone
        return None
    return found if home is None or Path(found.source).is_relative_to(_store_of(home)) else None


def _store_of(labels: Path) -> Path:
    """The store that labels, or a store of labels, lie in."""
    return labels.parent.parent if labels.parent.name == "labels" else labels


def plain_metadata(info: ImageInfo) -> dict[str, bytes]:
    """The group's metadata document, file name -> content, with only what a viewer needs and all of it regular.

    The browser's reader refuses a whole image for a unit or a channel colour that it does not know. What was read
    of the file here is checked; sizes are given in µm, contrast and colours with the layer.
    """
    um = [um_of(info, a) if a in ZYX else None for a in info.axes]
    axes = [_axis(a, u, known=k is not None) for a, u, k in zip(info.axes, info.units, um, strict=True)]
    datasets = []
    for level in info.levels:
        scale = [s * (k or 1.0) for s, k in zip(level.scale, um, strict=True)]
        move = [t * (k or 1.0) for t, k in zip(level.translation, um, strict=True)]
        transforms = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": move}]
        datasets.append({"path": level.path, "coordinateTransformations": transforms})
    entry = {"axes": axes, "datasets": datasets}
    if info.version == "0.4":
        return {".zattrs": json.dumps({"multiscales": [{**entry, "version": "0.4"}]}).encode()}
    ome = {"version": "0.5", "multiscales": [entry]}
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    return {"zarr.json": json.dumps(group).encode()}


def um_of(info: ImageInfo, axis: str) -> float | None:
    """µm in the unit of `axis`; None for all axes where one is not known, since views have one scale."""
    if not info.spacing().known:
        return None
    return 1.0 / info.levels[0].scale[info.axes.index(axis)] if info.lacks(axis) else um_per(info.unit(axis))


def _axis(name: str, unit: str | None, *, known: bool) -> dict[str, str]:
    if name == "t":
        return {"name": "t", "type": "time", **({"unit": unit} if unit in SECONDS else {})}
    kind = "channel" if name == "c" else "space"
    return {"name": name, "type": kind, **({"unit": "micrometer"} if known else {})}


def contrast(info: ImageInfo) -> tuple[tuple[float, float], ...]:
    """Black and full intensity of each channel: from the file where it gives a choice, otherwise measured.

    A window as wide as the dtype is what programs write that did not look; it would show most images black.
    """
    given = [w if w is not None and _is_choice(w, info) else None for w in info.windows]
    if all(w is not None for w in given):
        return tuple(w for w in given if w is not None)
    volume = open_image(info.source, level=len(info.levels) - 1)
    values = volume.read(Box.middle(volume.extent, SAMPLE))
    return tuple(w or window(v) for w, v in zip(given, values, strict=True))


def _is_choice(limits: tuple[float, float], info: ImageInfo) -> bool:
    dtype = info.levels[0].dtype
    widest = np.iinfo(dtype).max if dtype.kind in "ui" else float("inf")
    return limits[0] < limits[1] and not (limits[0] <= 0 and limits[1] >= widest)


def find_in(labels: ImageInfo, id: int) -> Found:
    """Where object `id` lies, from the object table beside the labels, otherwise by looking through the labels.

    The search goes from the coarsest level to finer ones until the object is met, then reads its surroundings in
    level 0. Raises InputError if there is no such object.
    """
    if id < 1:
        raise InputError(f"object {id}: ids begin at 1, 0 is background")
    finest = open_image(labels.source)
    table = Path(labels.source) / TABLE
    if table.exists():
        row = find_object(table, id)
        box = Box(tuple(int(row[f"{a}_min"]) for a in ZYX), tuple(int(row[f"{a}_max"]) for a in ZYX))
        return _found(finest, box & Box.of(finest.extent), id, tuple(float(row[a]) for a in ZYX))
    for level in reversed(range(len(labels.levels))):
        volume = open_image(labels.source, level=level)
        near = _box_of(volume, id)
        if near is not None:
            return _found(finest, _enlarged(near, volume.extent, finest.extent), id, None)
    raise InputError(f"{labels.source} has no object {id}; give an id that is there")


def _box_of(volume: ZarrVolume, id: int) -> Box | None:
    """The bounding box of the voxels that are `id`, a piece of the volume at a time."""
    found: Box | None = None
    for piece in _pieces(volume):
        at = np.argwhere(volume.read(piece)[0] == id)
        if len(at):
            box = Box(tuple(at.min(0).tolist()), tuple((at.max(0) + 1).tolist())).shift(piece.start)
            found = box if found is None else _hull(found, box)
    return found


def _hull(a: Box, b: Box) -> Box:
    return Box(tuple(map(min, a.start, b.start)), tuple(map(max, a.stop, b.stop)))


def _pieces(volume: ZarrVolume) -> Iterator[Box]:
    """Boxes of whole shards or chunks that tile the volume, as large as `PIECE` allows."""
    level, axes = volume.info.levels[volume.level], volume.info.axes
    stored = level.shards or level.chunks
    shape = [stored[axes.index(a)] if a in axes else 1 for a in ZYX]
    for axis in (2, 1, 0):
        while shape[axis] < volume.extent[axis] and prod(shape) * 2 <= PIECE:
            shape[axis] *= 2
    return Box.of(volume.extent).split(shape)


def _enlarged(box: Box, extent: tuple[int, ...], finest: tuple[int, ...]) -> Box:
    """A box of a coarse level in voxels of the finest, with a coarse voxel more on every side."""
    steps = [-(-f // e) for f, e in zip(finest, extent, strict=True)]
    start = tuple(max(0, (a - 1) * s) for a, s in zip(box.start, steps, strict=True))
    stop = tuple(min(n, (b + 1) * s) for b, s, n in zip(box.stop, steps, finest, strict=True))
    return Box(start, stop)


def _found(volume: ZarrVolume, box: Box, id: int, centroid: tuple[float, ...] | None) -> Found:
    """The voxel of the object nearest its centroid, which may lie outside of a bent one."""
    middle_of_box = tuple((a + b) / 2 for a, b in zip(box.start, box.stop, strict=True))
    at: Array = np.zeros((0, 3))
    if box.size <= PIECE:
        at = np.argwhere(volume.read(box)[0] == id) + box.start
    if not len(at):
        z, y, x = (int(v) for v in centroid or middle_of_box)
        return Found((z, y, x), box)
    target = np.asarray(centroid) if centroid is not None else at.mean(0)
    z, y, x = (int(v) for v in at[((at - target) ** 2).sum(1).argmin()])
    return Found((z, y, x), Box(tuple(at.min(0).tolist()), tuple((at.max(0) + 1).tolist())))
