"""How a crop of a stack is drawn: a view, a plane and a place at random, then its targets and its image, warped."""

from __future__ import annotations

import numpy as np

from bigcell.core.box import Box
from bigcell.core.lru import ByteLimitedLRUCache
from bigcell.core.volume import Array
from bigcell.training.crops.augment import Augmentation, disturb
from bigcell.training.crops.placement import extent_of, offset_of, random_turn
from bigcell.training.crops.source import Crop
from bigcell.training.crops.targets import Sides, make_tile
from bigcell.training.crops.warp import warp_image, warp_words
from bigcell.training.stacks.stack import Stack, plane_image, plane_labels
from bigcell.training.stacks.views import View

TILE = 512
"""Pixels along a tile of a large plane."""
WHOLE = 1 << 21
"""Planes of up to so many pixels are one tile."""
TRIES = 8
"""Places that are drawn until one shows a cell, where one is wanted."""
Tiles = ByteLimitedLRUCache[Array]
"""Tiles of targets that were made a short while ago."""


def draw_crop(stack: Stack, tiles: Tiles, rng: np.random.Generator, settings: Augmentation) -> Crop:
    """A random piece of a random plane in one of the views of `stack`, turned, scaled and disturbed."""
    view, index, centre = _place(stack, tiles, rng, wanted=rng.random() < settings.on_cells)
    matrix, scale = random_turn(stack.diameter, settings, rng)
    side = settings.crop
    offset = offset_of(centre, matrix, side, scale=scale, crop=side, shape=view.shape)
    low, high = extent_of(matrix, offset, side)
    window = Box(_whole(np.floor(low) - 1), _whole(np.ceil(high) + 2)) & Box.of(view.shape)
    words = _words(stack, tiles, view, index, window)
    flows, inside, known = warp_words(words, matrix, offset - window.start, side)
    everything = stack.boxes == (stack.bounds,)
    if not everything:
        known &= _within(view.shape, matrix, offset, side)
    image = _image(stack, view, index, (matrix, offset), side)
    image = disturb(image, settings, rng, invertible=stack.invertible)
    return Crop(image, flows * known, inside * known, None if everything else known)


def _place(stack: Stack, tiles: Tiles, rng: np.random.Generator, *, wanted: bool) -> tuple[View, int, Array]:
    """A random view, plane and place in it; where a cell is `wanted` and found in a few tries, at one of its pixels."""
    sizes = np.array([box.size for box in stack.boxes], float)
    for _ in range(TRIES if wanted else 1):
        views = stack.views(stack.boxes[int(rng.choice(len(sizes), p=sizes / sizes.sum()))])
        view = views[int(rng.integers(len(views)))]
        index = int(rng.integers(view.count))
        centre: Array = rng.uniform(np.zeros(2), view.shape)
        if not wanted:
            break
        tile = _tile_at(view, centre)
        cells = np.flatnonzero(_tile(stack, tiles, view, index, tile) >> np.uint64(24))
        if cells.size:
            inner = np.unravel_index(cells[int(rng.integers(cells.size))], tile.shape)
            centre = np.array(inner, float) + tile.start
            break
    return view, index, centre


def _side(view: View) -> tuple[int, int]:
    """The size of the tiles of a view's planes."""
    rows, columns = view.shape
    return (rows, columns) if rows * columns <= WHOLE else (TILE, TILE)


def _tile_at(view: View, place: Array) -> Box:
    side = _side(view)
    start = tuple(int(p) // n * n for p, n in zip(place, side, strict=True))
    return Box(start, tuple(a + n for a, n in zip(start, side, strict=True))) & Box.of(view.shape)


def _words(stack: Stack, tiles: Tiles, view: View, index: int, window: Box) -> Array:
    """The packed targets of `window` of a plane, from its tiles."""
    out = np.empty(window.shape, np.uint64)
    side = _side(view)
    first = tuple(a // n * n for a, n in zip(window.start, side, strict=True))
    for corner in Box(first, window.stop).split(side):
        tile = _tile_at(view, np.array(corner.start))
        part = tile & window
        words = _tile(stack, tiles, view, index, tile)
        out[part.relative_to(window).slices] = words[part.relative_to(tile).slices]
    return out


def _tile(stack: Stack, tiles: Tiles, view: View, index: int, tile: Box) -> Array:
    """One tile, held, kept or made."""

    def made() -> tuple[Array, int]:
        kept = stack.kept
        place = (stack.boxes.index(view.box), view.axis)
        words = kept.read(place, index, tile) if kept is not None else None
        if words is None:
            words = make_tile(lambda box: plane_labels(stack, view, index, box), view.shape, tile, _cut(stack, view))
            if kept is not None:
                kept.write(place, (view.count, *view.shape), _side(view), index, tile, words)
        return words, words.nbytes

    return tiles.get((stack.name, view, index, tile.start), made)


def _cut(stack: Stack, view: View) -> Sides:
    """The sides of a box where it ends and what may be seen of the image does not."""
    box, bounds = view.box, stack.bounds
    top, bottom, left, right = (
        side for a in view.axes for side in (box.start[a] > bounds.start[a], box.stop[a] < bounds.stop[a])
    )
    return (top, bottom, left, right)


def _image(stack: Stack, view: View, index: int, place: tuple[Array, Array], side: int) -> Array:
    """The crop of the image, with what lies around the box, as far as the bounds: float32 (channel, side, side)."""
    to_rows = np.array([1 / view.stretch, 1.0])
    matrix = place[0] * to_rows[:, None]
    offset = view.to_voxels(place[1])
    low, high = extent_of(matrix, offset, side)
    spare = 1 + np.abs(matrix).sum(1) / 2  # samples lie within half a pixel of the crop
    ends = []
    for k, axis in enumerate(view.axes):
        first, last = (e[axis] - view.box.start[axis] for e in (stack.bounds.start, stack.bounds.stop))
        start = int(np.clip(np.floor(low[k] - spare[k]), first, last - 1))
        ends.append((start, int(np.clip(np.ceil(high[k] + spare[k]) + 1, start + 1, last))))
    rows, columns = ends
    window = plane_image(stack, view, index, rows, columns)
    return warp_image(window, matrix, offset - (rows[0], columns[0]), side)


def _within(shape: tuple[int, int], matrix: Array, offset: Array, side: int) -> Array:
    """Which pixels of a crop lie in a plane of `shape`, bool (side, side)."""
    at = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1) @ matrix.T + offset
    inside: Array = np.all((at >= -0.5) & (at < np.array(shape) - 0.5), axis=-1)
    return inside


def _whole(values: Array) -> tuple[int, ...]:
    return tuple(int(v) for v in values)
