"""How long a plan would take, from trying its two expensive parts for a few seconds on this machine."""

from __future__ import annotations

import time

import numpy as np
from numba import get_num_threads, set_num_threads

from bigcell.core.box import Box
from bigcell.dynamics.follow import follow_core
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.engine.planning.plan import Plan
from bigcell.engine.runtime.machine import cores
from bigcell.tiling.lattice import VIEWS

SAMPLE = 48
"""Side of the volume that is followed for calibration."""
OTHER_STEPS = 0.26e-6
"""Seconds per voxel of all other steps: reading, sinks, naming, writing (`./scripts/bench --only pipeline`)."""
FOREGROUND = 0.4


def expected_seconds(plan: Plan, workers: int) -> float:
    """Wall seconds of the whole run on `workers` that share this machine's cores."""
    threads = max(1, cores() // workers)
    total = plan.share * plan.voxels * (OTHER_STEPS + FOREGROUND * _follow_seconds(plan.settings.dynamics, threads))
    if plan.model:
        total += plan.tile_share * _network_seconds(plan, threads)
    return total / workers


def _follow_seconds(settings: DynamicsSettings, threads: int) -> float:
    """Seconds per foreground voxel, compilation not counted: a field that turns as it draws inwards."""
    extent = (SAMPLE,) * 3
    z, y, x = np.indices(extent) - SAMPLE / 2
    flow = (np.stack([-z, -y - x, x - y]) * 12).astype(np.int16)
    volume, everywhere = Box.of(extent), np.ones(extent, bool)
    before = get_num_threads()
    set_num_threads(min(threads, before))
    follow_core(flow, everywhere, volume, volume, extent, settings)
    begun = time.perf_counter()
    follow_core(flow, everywhere, volume, volume, extent, settings)
    seconds = time.perf_counter() - begun
    set_num_threads(before)
    return seconds / everywhere.size


def _network_seconds(plan: Plan, threads: int) -> float:
    """Seconds for all tiles of all views in all flips, from a batch of each view's size."""
    from bigcell.engine.tasks.predict import loaded_model, view_runners  # torch only where a network runs
    from bigcell.flows.timing import seconds_per_pixel

    channels = loaded_model(plan.model, plan.model_sha256).channels
    runners, lattice, total = view_runners(plan), plan.lattice, 0.0
    for view in lattice.views:
        normal, rows, columns = VIEWS[view]
        on_cpu = runners[view].device.type == "cpu"
        batch = threads if on_cpu else min(plan.settings.tiles.batch, lattice.extent[normal])
        shape = (batch, channels, lattice.axes[rows].size, lattice.axes[columns].size)
        total += seconds_per_pixel(runners[view], shape, threads) * lattice.input_voxels(view)
    return total * (4 if plan.settings.flows.augment and not plan.settings.tiles.mirrored else 1)
