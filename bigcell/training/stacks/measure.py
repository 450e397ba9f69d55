"""What must be known of an image and its labels before crops are drawn: black and white, the size of a cell.

Both are read once, piece by piece, and whatever makes them unfit to learn from is found on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from scipy import ndimage

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.sizes import diameters_of
from bigcell.core.volume import Array, Volume
from bigcell.preprocess.channels import first_bad
from bigcell.preprocess.levels import LevelMap
from bigcell.preprocess.normalize import settle
from bigcell.preprocess.statistics import Ranges, Search, count, extremes, measure, ranges_of

PERCENTILES = (1.0, 99.0)
"""What becomes 0 and 1, as Cellpose trains."""
PIECE = (64, 512, 512)
"""Voxels that are read together."""
SMALL = 1 << 22
"""Images of up to so many voxels a channel are sorted at once."""
COUNTED = 1 << 24
"""Labels of up to so many voxels are searched for pieces of one object."""


def measure_levels(image: Volume, bounds: Box, name: str) -> LevelMap:
    """Black and white of every channel of `image` within `bounds`, from exact percentiles of all of it.

    Raises InputError, naming `name`, at the first voxel that is not a number.
    """
    if bounds.size <= SMALL:
        values = _finite(image.read(bounds), bounds, name)
        found = measure(values.reshape(len(values), -1), PERCENTILES)
    else:
        found = _streamed(image, bounds, name)
    return LevelMap.of_volume(*settle(found))


def measure_diameter(labels: Volume, boxes: Sequence[Box], *, anisotropy: float, name: str) -> tuple[float, int]:
    """The median diameter of the cells within `boxes`, in voxels along x, and how many they are (0: diameter nan).

    Cells of a single plane are discs, others balls; one in several boxes counts in each. Raises InputError, naming
    `name`, for labels that are none: negative, not whole, or one object in many pieces, as masks of yes and no have it.
    """
    diameters: list[Array] = []
    names: set[int] = set()
    for box in boxes:
        ids, sizes = _sizes(labels, box, name)
        flat = min(box.shape) == 1
        stretch = anisotropy if box.shape[0] > 1 else 1.0
        diameters.append(diameters_of(sizes * stretch, flat=flat))
        names.update(ids[:2].tolist())
    every = np.concatenate(diameters)
    if len(names) == 1:
        _check_one(labels, boxes, name)
    return (float(np.median(every)), len(every)) if len(every) else (float("nan"), 0)


def read_labels(labels: Volume, box: Box, name: str) -> Array:
    """The ids in `box`, ``(z, y, x)`` integers from 0; InputError, naming `name`, where they are none."""
    values: Array = labels.read(box)[0]
    if values.dtype.kind == "f":
        whole = np.rint(values)
        bad = np.argwhere(~(whole == values))  # not a number is unlike itself
        if len(bad):
            place = tuple(int(n) for n in bad[0])
            raise InputError(
                f"{name}: labels are {values.dtype} and hold {values[place]:g} at {_where(place, box)}; wanted whole "
                "numbers, one for each cell"
            )
        values = whole.astype(np.int64)
    if values.dtype.kind == "i" and values.size and values.min() < 0:
        place = tuple(int(n) for n in np.argwhere(values < 0)[0])
        raise InputError(
            f"{name}: labels hold {values[place]} at {_where(place, box)}; wanted 0 for background and positive ids"
        )
    return values


def _finite(values: Array, box: Box, name: str) -> Array:
    bad = first_bad(values)
    if bad is not None:
        raise InputError(
            f"{name}: the image holds {values[bad]} at {_where(bad[1:], box)} of channel {bad[0]}; wanted numbers: "
            "replace such voxels, or leave the image out"
        )
    return values


def _where(place: Sequence[int], box: Box) -> str:
    return f"voxel {tuple(int(p + s) for p, s in zip(place, box.start, strict=True))} (z, y, x)"


def _streamed(image: Volume, bounds: Box, name: str) -> Ranges:
    """Percentiles of all channels, in two passes for 32 bits and one for fewer."""
    channels, pieces = len(image.channels), list(bounds.split(PIECE))
    totals = [bounds.size] * channels
    search = Search.start(image.dtype, totals, PERCENTILES)
    ends = np.tile([np.inf, -np.inf], (channels, 1))
    first = True
    while not search.done:
        table = np.zeros((*search.slots.shape, 1 << search.digit), np.int64)
        for piece in pieces:
            values = image.read(piece)
            if first:
                found = extremes(_finite(values, piece, name))
                ends[:, 0] = np.minimum(ends[:, 0], found[:, 0])
                ends[:, 1] = np.maximum(ends[:, 1], found[:, 1])
            table += count(values, search)
        search, first = search.advance(table), False
    return ranges_of(search, ends, image.dtype, totals, PERCENTILES)


def _sizes(labels: Volume, box: Box, name: str) -> tuple[Array, Array]:
    """Ids of the cells in `box` and their voxels."""
    parts = [np.unique(read_labels(labels, piece, name), return_counts=True) for piece in box.split(PIECE)]
    ids = np.concatenate([part[0].astype(np.uint64) for part in parts])
    counts = np.concatenate([part[1] for part in parts])
    names, place = np.unique(ids, return_inverse=True)
    sizes = np.bincount(place.ravel(), counts, len(names)).astype(np.int64)
    return names[names > 0], sizes[names > 0]


def _check_one(labels: Volume, boxes: Sequence[Box], name: str) -> None:
    """One object is a cell if it hangs together, and does not fill the image."""
    voxels = sum(prod(box.shape) for box in boxes)
    pieces, inside = 0, 0
    for box in boxes if voxels <= COUNTED else ():
        found = read_labels(labels, box, name) > 0
        pieces += int(ndimage.label(found, np.ones((3, 3, 3)))[1])
        inside += int(found.sum())
    if voxels > COUNTED or pieces > len(boxes) or inside > 0.9 * voxels:
        told = f"in {pieces} pieces " if pieces > 1 else ""
        raise InputError(
            f"{name}: labels hold one object only, {told}as a mask of cells and background does; wanted a number of "
            "its own for each cell: number them, as with scipy.ndimage.label, and part those that touch"
        )
