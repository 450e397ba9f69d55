"""Flows of one cube of the lattice: run its tiles in every view and blend them as integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.tiling.blend import FLOW_BITS, FLOW_LIMIT, LOGIT_BITS, LOGIT_LIMIT, axis_weights
from bigcell.tiling.lattice import VIEWS, Lattice, TileRun

Network = Callable[[torch.Tensor], torch.Tensor]
"""float32 (n, channels, h, w) -> (n, 3, h, w): flow along h and along w (five times unit length), logit."""


def predict_cube(network: Network, image: Array, lattice: Lattice, cube: int) -> Array:
    """Integer flows (4, *footprint) int16 of the tiles that `cube` owns: dz, dy, dx, logit.

    `image` is float32 (channels, *footprint), normalised, on the network's grid. Each view is weighted by one over the
    number of views that know a component, so views are averaged; the parts of all cubes that cover a voxel add up to
    its flow (Stringer et al. 2021: three orthogonal views; there summed).
    """
    footprint = lattice.footprint(cube)
    total = np.zeros((4, *footprint.shape), np.int16)
    for run in lattice.runs(cube):
        for first in range(run.first, run.last, lattice.settings.batch):
            last = min(first + lattice.settings.batch, run.last)
            tiles, place = _cut(image, footprint, lattice, run, first, last)
            with torch.inference_mode():
                out = network(torch.from_numpy(tiles).contiguous(memory_format=torch.channels_last))
            _add(total, place, out.float().cpu().numpy(), lattice, run)
    return total


def _cut(
    image: Array, footprint: Box, lattice: Lattice, run: TileRun, first: int, last: int
) -> tuple[Array, tuple[slice, ...]]:
    """Tiles (planes, channels, h, w) of a run, zero beyond the volume, and where they lie in the footprint."""
    normal, rows, columns = VIEWS[run.view]
    spans = {normal: (first, last)}
    for axis, start in ((rows, run.row), (columns, run.column)):
        tiles = lattice.axes[axis]
        spans[axis] = (start, min(start + tiles.size, tiles.length))
    place = tuple(slice(spans[a][0] - footprint.start[a], spans[a][1] - footprint.start[a]) for a in range(3))
    cut = np.transpose(image[(slice(None), *place)], (normal + 1, 0, rows + 1, columns + 1))
    missing = [lattice.axes[a].size - (spans[a][1] - spans[a][0]) for a in (rows, columns)]
    return np.pad(cut, [(0, 0), (0, 0), (0, missing[0]), (0, missing[1])]), place


def _add(total: Array, place: tuple[slice, ...], out: Array, lattice: Lattice, run: TileRun) -> None:
    """Add weighted, rounded outputs (planes, 3, h, w) to `total`."""
    normal, rows, columns = VIEWS[run.view]
    back = np.argsort((normal, rows, columns))
    shape = tuple(s.stop - s.start for s in place)
    h, w = shape[rows], shape[columns]
    weight = np.outer(_weights(lattice, rows, run.row)[:h], _weights(lattice, columns, run.column)[:w])
    views = len(lattice.views)
    for target, source, scale, limit in _components(rows, columns, views):
        values = np.clip(out[:, source, :h, :w], -limit, limit)
        rounded = np.rint(values * (weight * scale).astype(np.float32)).astype(np.int16)
        total[target][place] += np.transpose(rounded, back)


def _weights(lattice: Lattice, axis: int, start: int) -> Array:
    tiles = lattice.axes[axis]
    weights: Array = axis_weights(tiles)[tiles.starts.index(start)]
    return weights


def _components(rows: int, columns: int, views: int) -> Iterator[tuple[int, int, float, float]]:
    """(component of the volume, channel of the network, scale to integers, limit of the channel)."""
    flow = (1 << FLOW_BITS) / 5 / max(1, views - 1)
    yield rows, 0, flow, 5 * FLOW_LIMIT
    yield columns, 1, flow, 5 * FLOW_LIMIT
    yield 3, 2, (1 << LOGIT_BITS) / views, LOGIT_LIMIT
