"""What a plan costs: memory of a worker and of the driver, disk for scratch and labels. Pure arithmetic on the plan.

The constants were measured (``./scripts/bench-memory``); `tests/scale` holds the estimates to what runs really take.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bigcell.engine.plan import Plan

MB = 1e6
BASE = 190 * MB
"""A worker that has imported numpy, numba and zarr and compiled its kernels."""
TORCH = 330 * MB
"""More, once torch is imported and a model is loaded."""
FOREGROUND = 0.6
"""Share of foreground voxels that is provided for."""


@dataclass(frozen=True)
class Budget:
    """Bytes unless said otherwise. `seconds` is of all stages on `workers`, 0 where nothing was calibrated."""

    worker: int
    driver: int
    scratch: int
    output: int
    files: int
    seconds: float = 0.0
    workers: int = 1


def estimate(plan: Plan, *, workers: int = 1) -> Budget:
    """The budget of `plan`. Memory depends on block, tiles and dtype, never on the extent."""
    block = prod(plan.grid.shape)
    halo = plan.settings.dynamics.halo
    window = prod(min(b + 2 * halo, n) for b, n in zip(plan.grid.shape, plan.extent, strict=True))
    peaks = [_follow_bytes(block, window, given=not plan.model), _sinks_bytes(plan), _name_bytes(block)]
    base = BASE
    if plan.model:
        peaks.append(_predict_bytes(plan))
        base += TORCH
    worker = int(base + max(peaks))
    driver = int(BASE + 600 * len(plan.grid))
    scratch = int(plan.voxels * 2.0) + (int(prod(plan.grids.network) * 5.5) if plan.model else 0)
    output = int(plan.voxels * 0.5)
    files = 12 * len(plan.grid) + 2 * (len(plan.lattice.cubes) if plan.model else 0)
    return Budget(worker, driver, scratch, output, files, 0.0, workers)


def _follow_bytes(block: int, window: int, *, given: bool) -> float:
    """Flows of the window as int16 and masked, particles of the block; given flows arrive as floats."""
    flows = window * (8 + 6 + 1) + (window * 16 if given else 0)
    particles = block * FOREGROUND * (24 + 20 + 12 + 24)
    return max(flows + block * FOREGROUND * 24, window * 6 + particles)


def _sinks_bytes(plan: Plan) -> float:
    return prod(min(b + 14, n) for b, n in zip(plan.grid.shape, plan.extent, strict=True)) * 8.0


def _name_bytes(block: int) -> float:
    return block * FOREGROUND * 100 + block * 5


def _predict_bytes(plan: Plan) -> float:
    lattice = plan.lattice
    sides = [min(a.starts[min(lattice.group, len(a.starts)) - 1] + a.size, a.length) for a in lattice.axes]
    footprint = prod(sides)
    image = len(plan.channels) * footprint * (4 * 3 + np.dtype(plan.dtype).itemsize)
    tile = max(a.size for a in lattice.axes) ** 2 * plan.settings.tiles.batch
    return image + footprint * 8 + tile * 4 * 260.0
