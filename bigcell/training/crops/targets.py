"""Targets of whole cells: flows and ids of one tile of a plane, packed into a word a pixel, made once and kept.

The flow of a pixel is that of its whole cell, also where the tile ends: labels are read as far as the cells of the tile
reach. A word of 64 bits holds the id (39 bits, modulo 2^39), whether the pixel is known, and the flow along rows and
columns in 127ths. A word of 0 has not been made.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import numpy as np

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.flows.from_labels import unit_flows

MARGIN = 32
"""Pixels around a tile that are read first; twice as many where a cell reaches further."""
FARTHEST = 2048
"""Pixels around a tile that are read at most: a larger cell is taken for what is seen of it."""
_ID, _KNOWN, _ROW = 24, 16, 8
_MIDDLE = 128

Read = Callable[[Box], Array]
"""Labels (rows, columns) of a box of pixels of the plane."""
Sides = tuple[bool, bool, bool, bool]
"""Whether cells may go on beyond the first row, the last, the first column, the last."""

_alone = Lock()  # numba's threads are started by one thread at a time


def make_tile(read: Read, plane: tuple[int, int], tile: Box, cut: Sides) -> Array:
    """The words of `tile` of a plane of `plane` pixels, uint64 ``(h, w)``.

    Cells that touch a side of the plane which is `cut` are not known: where their centre lies cannot be said.
    """
    window, labels = _whole_cells(read, plane, tile)
    with _alone:
        flows = unit_flows(labels[None])[1:, 0]
    inner = tile.relative_to(window).slices
    known = ~np.isin(labels[inner], _cut_cells(labels, window, plane, cut))
    return packed(labels[inner], flows[(slice(None), *inner)], known)


def packed(labels: Array, flows: Array, known: Array) -> Array:
    """Labels ``(h, w)``, unit flows ``(2, h, w)`` and what is known ``(h, w)`` as words."""
    rows, columns = (np.rint(flow * 127).astype(np.int64) + _MIDDLE for flow in flows)
    ids = labels.astype(np.uint64) & np.uint64((1 << 39) - 1)
    small = (known.astype(np.int64) << _KNOWN) | (rows << _ROW) | columns
    words: Array = (ids << np.uint64(_ID)) | small.astype(np.uint64)
    return words


def unpacked(words: Array) -> tuple[Array, Array, Array]:
    """Labels int64, unit flows float32 and what is known of `words` ``(h, w)``; flows within 1/254 of a pixel's."""
    small = words.astype(np.int64)
    flows = np.stack([(small >> _ROW) & 255, small & 255]).astype(np.float32) - _MIDDLE
    return small >> _ID, flows / np.float32(127), (small >> _KNOWN) & 1 == 1


def _whole_cells(read: Read, plane: tuple[int, int], tile: Box) -> tuple[Box, Array]:
    """A window around `tile` that holds all of every cell in it, and its labels."""
    whole, margin = Box.of(plane), MARGIN
    while True:
        window = tile.grow(margin) & whole
        labels = read(window)
        if window == whole or margin >= FARTHEST:
            return window, labels
        inner = labels[tile.relative_to(window).slices]
        at_side = _along(labels, _inner_sides(window, plane))
        if not np.isin(at_side[at_side > 0], inner).any():
            return window, labels
        margin *= 2


def _inner_sides(window: Box, plane: tuple[int, int]) -> Sides:
    """The sides of `window` that lie inside of the plane."""
    (top, left), (bottom, right) = window.start, window.stop
    return (top > 0, bottom < plane[0], left > 0, right < plane[1])


def _along(labels: Array, sides: Sides) -> Array:
    """The labels along some sides, in a row."""
    lines = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    return np.concatenate([labels[:0, 0], *(line for line, taken in zip(lines, sides, strict=True) if taken)])


def _cut_cells(labels: Array, window: Box, plane: tuple[int, int], cut: Sides) -> Array:
    """Cells at sides of the plane beyond which they may go on."""
    inner = _inner_sides(window, plane)
    top, bottom, left, right = (c and not i for c, i in zip(cut, inner, strict=True))
    found = _along(labels, (top, bottom, left, right))
    return np.unique(found[found > 0])
