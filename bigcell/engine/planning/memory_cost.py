"""What a plan costs: memory of a worker and of the driver, and all else of its budget. Pure arithmetic on the plan.

The constants were measured with ``python benchmarks/memory.py``; `tests/scale` holds the estimates to real runs.
"""

from __future__ import annotations

from math import prod

import numpy as np

from bigcell.engine.planning.budget import Budget
from bigcell.engine.planning.disk_cost import choose_order, stage_bytes
from bigcell.engine.planning.plan import Plan
from bigcell.engine.runtime.machine import cores, torch_is_for_gpus
from bigcell.engine.runtime.malloc import KEPT
from bigcell.preprocess.cost import pass_bytes, table_bytes

MB = 1e6
BASE = 225 * MB
"""A worker that has imported numpy, numba, zarr and dask, and loaded its kernels."""
DRIVER = 340 * MB
"""The driver, with the scheduler; 80 MB of it, most of them Arrow, come with the report at the end of a run."""
BLOCK_NOTE = 1e3
"""What the driver and its scheduler hold on to for each block."""
TORCH = 185 * MB
"""More, once torch is imported; what a network takes stands in the plan."""
TORCH_FOR_GPUS = 480 * MB
"""The same of a torch that is built for GPUs, used or not: its libraries are larger."""
KEPT_FLOWS = 5.5
"""Bytes on disk for the flows of a voxel, where they are kept."""
PLANES_PER_READ = 64
"""Planes of given flows, and of labels, that a task reads at once (scratch is stored in chunks of as many)."""
TILE = {True: 1024, False: 512}
"""Objects that begin in one such square of a plane (of a stack: False) are read together, but for those that reach
over a quarter of it."""
READER = 25 * MB
"""What reading or writing a compressed store takes besides the voxels."""
FOREGROUND = 0.6
"""Share of foreground voxels that is provided for."""


def estimate(plan: Plan, *, workers: int = 1) -> Budget:
    """The budget of `plan`. Memory depends on block, tiles and dtype, never on the extent."""
    block = prod(plan.grid.shape)
    halo = plan.settings.dynamics.halo
    window = prod(min(b + 2 * halo, n) for b, n in zip(plan.grid.shape, plan.extent, strict=True))
    peaks = [_follow_bytes(plan, block, window), _sinks_bytes(plan), _name_bytes(block), _apply_bytes(plan)]
    peaks.append(_clean_bytes(plan))
    base = BASE
    if plan.model:
        peaks += [_predict_bytes(plan, max(1, cores() // workers)), _intensity_bytes(plan)]
        base += (TORCH_FOR_GPUS if torch_is_for_gpus() else TORCH) + plan.network.held
    worker = int(base + max(peaks))
    driver = int(DRIVER + BLOCK_NOTE * len(plan.grid) + _intensity_tables(plan))
    slab, scratch = choose_order(plan, workers)
    output = int(plan.voxels * (0.5 * plan.share + KEPT_FLOWS * plan.keep_flows))
    files = 9 * len(plan.grid) + 2 * (len(plan.lattice.cubes) if plan.model else 0)
    if plan.foreground is not None:
        worker, driver = worker + 2 * plan.foreground.cells, driver + 3 * plan.foreground.cells  # packed and not
        done = max(plan.share, plan.tile_share)
        scratch, files = scratch if slab else int(scratch * done), int(files * done)  # a slab may be full of it
    return Budget(worker, driver, scratch, output, files, 0.0, workers, slab, stage_bytes(plan))


def _intensity_bytes(plan: Plan) -> float:
    z, y, x = plan.grid.shape
    itemsize = np.dtype(plan.dtype).itemsize
    return pass_bytes(plan.settings.normalize, plan.extent, (z, y, x), len(plan.channels), itemsize)


def _intensity_tables(plan: Plan) -> float:
    return table_bytes(plan.settings.normalize, plan.extent, len(plan.channels)) if plan.model else 0.0


def _follow_bytes(plan: Plan, block: int, window: int) -> float:
    """Integer flows and mask of the window, what they are read from (a few planes at a time), and the ends."""
    if plan.model:
        reading = window * 10.0
    else:
        planes = min(1.0, PLANES_PER_READ / min(plan.grid.shape[0] + 2 * plan.settings.dynamics.halo, plan.extent[0]))
        reading = window * (8 + 2 * planes * 4 * np.dtype(plan.dtype).itemsize) + READER
    if plan.foreground is not None:  # what is read is put together
        reading += window * 8.0
    following = window * 9 + block * 5
    counting = window * 4 + block * (5 + FOREGROUND * 12)
    return max(reading, following, counting)


def _sinks_bytes(plan: Plan) -> float:
    return prod(min(b + 14, n) for b, n in zip(plan.grid.shape, plan.extent, strict=True)) * 8.0


def _name_bytes(block: int) -> float:
    """How far every particle went, packed and not, and the labels."""
    return block * (7 + FOREGROUND * 7)


def _clean_bytes(plan: Plan) -> float:
    """Labels (and flows) of one window of objects: some planes of a block, or a square of a large plane."""
    z, y, x = plan.grid.shape
    side = TILE[plan.is_flat]
    window = min(z + 1, PLANES_PER_READ) * (min(y, side) + side // 16) * (min(x, side) + side // 16)
    return window * (26.0 if plan.flow_threshold else 10.0)


def _apply_bytes(plan: Plan) -> float:
    """Labels of one region, those of one block, and the shard that is being encoded."""
    region = prod(min(256 if plan.extent[0] > 1 else 4096, n) for n in plan.extent)
    return region * 4.5 + READER


def _predict_bytes(plan: Plan, threads: int) -> float:
    """The image under the cube's tiles with what it was read from, the flows, a batch, a tile in each thread, and what
    is kept from one tile to the next."""
    lattice = plan.lattice
    sides = [
        min(a.starts[min(lattice.group, len(a.starts)) - 1] + a.size, a.length) - max(0, a.starts[0])
        for a in lattice.axes
    ]
    footprint = prod(sides)
    channels = len(plan.channels)
    image = channels * footprint * (4 * 3 + np.dtype(plan.dtype).itemsize)
    tile = max(a.size for a in lattice.axes) ** 2
    batch = tile * plan.settings.tiles.batch * 4 * 2 * (channels + 3)
    layers = tile * plan.network.pixel * min(threads, 2 * plan.settings.tiles.batch)
    return image + footprint * 8 + batch + layers + KEPT
