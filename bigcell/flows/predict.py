"""Flows of one cube of the lattice: run its tiles in every view and blend them as integers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numba import njit

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.flows.settings import FlowSettings
from bigcell.tiling.blend import FLOW_BITS, FLOW_LIMIT, LOGIT_BITS, LOGIT_LIMIT, axis_weights
from bigcell.tiling.lattice import VIEWS, Lattice, TileRun

Network = Callable[[torch.Tensor], torch.Tensor]
"""float32 (n, channels, h, w) -> (n, 3, h, w): flow along h and along w (five times unit length), logit."""

Flip = tuple[bool, bool]
"""Whether rows, and whether columns, are turned round."""


@dataclass(frozen=True)
class Batch:
    """Tiles that the network sees in one call: the planes `first` <= p < `last` of a run, flipped."""

    run: TileRun
    first: int
    last: int
    flip: Flip
    flips: int


def predict_cube(
    networks: Network | Sequence[Network],
    image: Array,
    lattice: Lattice,
    cube: int,
    settings: FlowSettings = FlowSettings(),  # noqa: B008 (frozen)
) -> Array:
    """Integer flows (4, *footprint) int16 of the tiles that `cube` owns: dz, dy, dx, logit.

    `networks`: one for all views, or one each for yx, zx and zy. `image` is float32 (channels, *footprint), normalised,
    on the network's grid. Each view counts as `settings` says; the parts of all cubes that cover a voxel add up to its
    flow (Stringer et al. 2021: three orthogonal views; there summed).

    With `augment` every tile is run in its four flips and counts a quarter each. On a lattice of mirrored tiles
    (Cellpose's own) every tile is run once, and tiles with an odd row or column are flipped.
    """
    each = [networks] * 3 if callable(networks) else list(networks)
    footprint = lattice.footprint(cube)
    total = np.zeros((4, *footprint.shape), np.int16)
    begun: deque[Callable[[], None]] = deque()
    for batch in batches(lattice, cube, settings):
        tiles, place = _cut(image, footprint, lattice, batch)
        finish = _start(each[batch.run.view], torch.from_numpy(tiles))
        begun.append(partial(_add, total, place, finish, lattice, batch, settings))
        if len(begun) > getattr(each[batch.run.view], "ahead", 1):
            begun.popleft()()  # while the device, or the threads, have the next ones
    for add in begun:
        add()
    return total


def _start(network: Network, tiles: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Begin with `tiles`: a runner goes on by itself, any other network is called."""
    start = getattr(network, "start", None)
    if start is not None:
        begun: Callable[[], torch.Tensor] = start(tiles)
        return begun
    with torch.inference_mode():
        out = network(tiles)
    return lambda: out


def batches(lattice: Lattice, cube: int, settings: FlowSettings) -> Iterator[Batch]:
    """The calls of the network for `cube`."""
    size = lattice.settings.batch
    for run in lattice.runs(cube):
        flips = _flips(run, lattice, settings)
        for first in range(run.first, run.last, size):
            for flip in flips:
                yield Batch(run, first, min(first + size, run.last), flip, len(flips))


def _flips(run: TileRun, lattice: Lattice, settings: FlowSettings) -> list[Flip]:
    """The flips that a tile is run in. Cellpose turns the rows of tiles in odd columns, and the other way round."""
    if lattice.settings.mirrored:
        return [(run.column % 2 == 1, run.row % 2 == 1)]
    if settings.augment:
        return [(False, False), (True, False), (False, True), (True, True)]
    return [(False, False)]


@dataclass(frozen=True)
class _Place:
    """Where tiles lie: `box`, slices of the footprint (z, y, x), and `inside`, rows and columns of the tile there."""

    box: tuple[slice, ...]
    inside: tuple[slice, slice]


def _place(footprint: Box, lattice: Lattice, batch: Batch) -> _Place:
    normal, rows, columns = VIEWS[batch.run.view]
    spans = {normal: (batch.first, batch.last)}
    inside = []
    for axis, index in ((rows, batch.run.row), (columns, batch.run.column)):
        tiles = lattice.axes[axis]
        start = tiles.starts[index]
        spans[axis] = (max(0, start), min(start + tiles.size, tiles.length))
        inside.append(slice(spans[axis][0] - start, spans[axis][1] - start))
    box = tuple(slice(spans[a][0] - footprint.start[a], spans[a][1] - footprint.start[a]) for a in range(3))
    return _Place(box, (inside[0], inside[1]))


def _cut(image: Array, footprint: Box, lattice: Lattice, batch: Batch) -> tuple[Array, _Place]:
    """Tiles (planes, channels, h, w), channels last in memory, zero beyond the volume, and where they lie."""
    normal, rows, columns = VIEWS[batch.run.view]
    place = _place(footprint, lattice, batch)
    sides = (lattice.axes[rows].size, lattice.axes[columns].size)
    held = np.zeros((batch.last - batch.first, *sides, len(image)), np.float32)
    tiles = held.transpose(0, 3, 1, 2)
    cut = image[(slice(None), *place.box)].transpose(normal + 1, 0, rows + 1, columns + 1)
    tiles[(slice(None), slice(None), *place.inside)] = cut
    flipped = tiles[:, :, :: -1 if batch.flip[0] else 1, :: -1 if batch.flip[1] else 1]
    return (flipped if batch.flip == (False, False) else np.ascontiguousarray(flipped)), place


def _add(
    total: Array,
    place: _Place,
    finish: Callable[[], torch.Tensor],
    lattice: Lattice,
    batch: Batch,
    settings: FlowSettings,
) -> None:
    """Add weighted, rounded outputs (planes, 3, h, w) to `total`, once they are there."""
    out = finish().float().cpu().numpy()
    view = batch.run.view
    normal, rows, columns = VIEWS[view]
    weights = [
        axis_weights(lattice.axes[axis])[index][inside] / share
        for axis, index, inside, share in (
            (rows, batch.run.row, place.inside[0], batch.flips),
            (columns, batch.run.column, place.inside[1], 1),
        )
    ]
    weight = np.outer(*weights)
    turned = out[:, :, :: -1 if batch.flip[0] else 1, :: -1 if batch.flip[1] else 1]
    seen = turned[(slice(None), slice(None), *place.inside)]
    for target, source in ((rows, 0), (columns, 1), (3, 2)):
        sign = -1 if source < 2 and batch.flip[source] else 1
        one, limit = (1 << LOGIT_BITS, LOGIT_LIMIT) if target == 3 else ((1 << FLOW_BITS) / 5, 5 * FLOW_LIMIT)
        share = sign * one * settings.share(target, view, lattice.views)
        there = total[target][place.box].transpose(normal, rows, columns)
        _add_planes(there, seen[:, source], (weight * share).astype(np.float32), np.float32(limit))


@njit(cache=True, nogil=True)
def _add_planes(total, values, weight, limit):  # type: ignore[no-untyped-def]
    """Add ``round(clip(values) * weight)`` to `total` (planes, h, w) int16."""
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            for k in range(values.shape[2]):
                value = min(max(values[i, j, k], -limit), limit) * weight[j, k]
                total[i, j, k] += np.int16(np.rint(value))
