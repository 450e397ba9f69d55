"""Pictures for paper and for a first look: orthogonal slices with the outline of every object, as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.io.ngff.image import ZarrVolume, open_image
from bigcell.io.ngff.metadata import ImageInfo
from bigcell.viewers.panels import draw_planes, orthogonal
from bigcell.viewers.shown import find_shown

MAX_VOXELS = 1024
"""Voxels along each axis that a picture shows; of an image that is larger at every level, the middle."""


def slices_figure(
    image: Array,
    labels: Array,
    path: str | Path,
    *,
    spacing: Spacing | Sequence[float] | None = None,
    title: str | None = None,
    position: Sequence[int] | None = None,
) -> Path:
    """Write the xy, zy and xz slices through `position` at their true proportions, objects outlined, as a PNG.

    `image` is (c, z, y, x), (z, y, x) or (y, x); `labels` (z, y, x) or (y, x), 0 is background. `spacing` is the
    voxel size along z, y, x in µm; `position` a voxel (z, y, x), the middle where it is not given. A single plane
    gives one panel. Raises InputError if shapes disagree, OutputError if the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     slices_figure(np.eye(9), np.eye(9, dtype=int), folder + "/a.png").name
    'a.png'
    """
    space = _spacing(spacing)
    image = image.astype(np.uint8) if image.dtype.kind == "b" else image
    labels = labels.reshape((1,) * max(0, 3 - labels.ndim) + labels.shape)
    image = image.reshape((1,) * max(0, 4 - image.ndim) + image.shape)
    if labels.ndim != 3 or image.ndim != 4 or image.shape[1:] != labels.shape or 0 in image.shape:
        raise InputError(
            f"an image of shape {image.shape} and labels of shape {labels.shape} do not lie on each other; "
            "give (channel, z, y, x) and (z, y, x) with the same z, y, x"
        )
    at = [n // 2 for n in labels.shape] if position is None else [int(p) for p in position]
    if len(at) != 3 or not all(0 <= p < n for p, n in zip(at, labels.shape, strict=True)):
        raise InputError(f"position {at} is not a voxel (z, y, x) of an image of shape {labels.shape}")
    cuts = [np.take(image, p, axis=1 + axis) for axis, p in enumerate(at)]
    sections = [np.take(labels, p, axis=axis) for axis, p in enumerate(at)]
    return draw_planes(orthogonal(cuts, sections, space, at), path, title=title, bar=space.known)


def store_figure(
    store: str | Path,
    path: str | Path,
    *,
    labels: str | None = None,
    image: str | Path | None = None,
    title: str | None = None,
) -> Path:
    """Write the slices through the middle of an OME-Zarr image and its `labels` (the first, if not named).

    Three planes are read, of the finest level that fits a picture, so memory stays small whatever the size. Labels
    of another level or another extent are put where their metadata say. `store` and `image` as for `view`.
    """
    shown = find_shown(store, labels=labels, image=image)
    if not shown.labels:
        raise InputError(f"{store} has no labels to outline; segment it first")
    name, info = next(iter(shown.labels.items()))
    main = shown.image or info
    level = next((k for k in range(len(main.levels)) if max(main.extent(k)) <= MAX_VOXELS), len(main.levels) - 1)
    volume, below = open_image(main.source, level=level), open_image(info.source, level=_like(info, main, level))
    region = Box.middle(volume.extent, (MAX_VOXELS, MAX_VOXELS, MAX_VOXELS))
    at = [(a + b) // 2 for a, b in zip(region.start, region.stop, strict=True)]
    boxes = [_cut(region, axis, p) for axis, p in enumerate(at)]
    values = [volume.read(box) if shown.image else np.zeros((1, *box.shape), np.uint8) for box in boxes]
    cuts = [np.take(v, 0, axis=1 + axis) for axis, v in enumerate(values)]
    sections = [np.take(labels_on(below, volume, box), 0, axis=axis) for axis, box in enumerate(boxes)]
    inside = [p - a for p, a in zip(at, region.start, strict=True)]
    planes = orthogonal(cuts, sections, volume.spacing, inside)
    return draw_planes(planes, path, title=title or f"{Path(main.source).name}, {name}", bar=volume.spacing.known)


def labels_on(labels: ZarrVolume, image: ZarrVolume, box: Box) -> Array:
    """The labels (z, y, x) at the voxels of `box` in `image`, the nearest where voxels differ, 0 outside of them."""
    found, read = [], []
    for axis in range(3):
        world = image.origin_um[axis] + np.arange(box.start[axis], box.stop[axis]) * image.spacing.zyx[axis]
        index = np.rint((world - labels.origin_um[axis]) / labels.spacing.zyx[axis]).astype(np.int64)
        inside = np.flatnonzero((index >= 0) & (index < labels.extent[axis]))
        found.append(inside)
        read.append(index[inside])
    values = np.zeros(box.shape, labels.dtype)
    if all(len(i) for i in read):
        stored = Box(tuple(int(i[0]) for i in read), tuple(int(i[-1]) + 1 for i in read))
        near = labels.read(stored)[0]
        values[np.ix_(*found)] = near[np.ix_(*(i - a for i, a in zip(read, stored.start, strict=True)))]
    return values


def _like(labels: ImageInfo, image: ImageInfo, level: int) -> int:
    """The level of `labels` with voxels nearest in size to those of `image` at `level`."""
    wanted = np.log(image.spacing(level).zyx)
    return int(np.argmin([np.abs(np.log(labels.spacing(k).zyx) - wanted).sum() for k in range(len(labels.levels))]))


def _cut(region: Box, axis: int, at: int) -> Box:
    start, stop = list(region.start), list(region.stop)
    start[axis], stop[axis] = at, at + 1
    return Box(tuple(start), tuple(stop))


def _spacing(given: Spacing | Sequence[float] | None) -> Spacing:
    if given is None:
        return Spacing(known=False)
    if isinstance(given, Spacing):
        return given
    z, y, x = (float(s) for s in given)
    return Spacing(z, y, x)
