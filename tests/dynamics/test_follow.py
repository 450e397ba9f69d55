from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from bigcell.core.box import Box
from bigcell.dynamics.follow import Particles, follow, foreground_flow
from bigcell.dynamics.window import integer_flows
from bigcell.testing.flows import FlowLattice

EXTENT = (24, 40, 44)


@pytest.fixture(scope="module")
def field() -> tuple[np.ndarray, np.ndarray]:
    return foreground_flow(integer_flows(FlowLattice(EXTENT, diameter=12, noise=0.6).read(Box.of(EXTENT))), 0)


def test_fixed_arithmetic_follows_the_float_path(field: tuple[np.ndarray, np.ndarray]) -> None:
    mask, flow = field
    start = np.argwhere(mask)
    done, escaped = follow(flow, Box.of(EXTENT), EXTENT, Particles.at(start), 60)
    where = start.astype(float)
    for _ in range(60):
        step = np.stack([map_coordinates(c / 1024, where.T, order=1, mode="nearest") for c in flow.astype(float)], 1)
        where = np.clip(where + step, 0, np.array(EXTENT) - 1)
    assert not escaped.any()
    apart = np.abs(done.start + done.displacement / 4096 - where).max(1)
    assert np.mean(apart > 0.5) < 0.02  # chaotic orbits part; all others stay together


@pytest.mark.parametrize("niter", [1, 2, 37, 38, 200, 201])
def test_early_stop_equals_every_step(field: tuple[np.ndarray, np.ndarray], niter: int) -> None:
    mask, flow = field
    particles = Particles.at(np.argwhere(mask)[::7])
    at_once, _ = follow(flow, Box.of(EXTENT), EXTENT, particles, niter)
    slow = particles
    for t in range(niter):  # one step a call: no memory of the step before, so no early stop on cycles
        slow, _ = follow(
            flow, Box.of(EXTENT), EXTENT, Particles(slow.start, slow.displacement, slow.steps * 0 + t), t + 1
        )
    assert np.array_equal(at_once.displacement, slow.displacement)


def test_a_path_does_not_depend_on_the_window(field: tuple[np.ndarray, np.ndarray]) -> None:
    mask, flow = field
    window = Box((3, 5, 7), (21, 33, 41))
    inside = np.argwhere(mask[window.slices]) + window.start
    whole, _ = follow(flow, Box.of(EXTENT), EXTENT, Particles.at(inside), 200)
    part, escaped = follow(flow[(slice(None), *window.slices)], window, EXTENT, Particles.at(inside), 200)
    assert 0 < escaped.mean() < 0.5
    assert np.array_equal(part.displacement[~escaped], whole.displacement[~escaped])
    resumed, _ = follow(flow, Box.of(EXTENT), EXTENT, part.take(escaped), 200)
    assert np.array_equal(resumed.displacement, whole.displacement[escaped])


def test_a_shifted_volume_gives_shifted_paths(field: tuple[np.ndarray, np.ndarray]) -> None:
    _, flow = field
    pad = np.pad(flow, [(0, 0), (10, 10), (20, 20), (5, 5)])
    mask = np.zeros(EXTENT, bool)
    mask[8:16, 14:26, 14:30] = True
    start = np.argwhere(mask)
    a, _ = follow(flow, Box.of(EXTENT), EXTENT, Particles.at(start), 5)
    extent = pad.shape[1:]
    b, _ = follow(pad, Box.of(extent), extent, Particles.at(start + np.array((10, 20, 5))), 5)
    assert np.array_equal(a.displacement, b.displacement)
