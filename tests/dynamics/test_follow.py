from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from bigcell.core.box import Box
from bigcell.dynamics.follow import (
    Particles,
    as_planes,
    flow_array,
    follow,
    follow_core,
    foreground_flow,
)
from bigcell.dynamics.paths import BACKGROUND, ESCAPED
from bigcell.dynamics.settings import DynamicsSettings, Sampling
from bigcell.dynamics.window import integer_flows
from bigcell.testing.flows import FlowLattice

EXTENT = (24, 40, 44)


@pytest.fixture(scope="module")
def field() -> tuple[np.ndarray, np.ndarray]:
    return foreground_flow(integer_flows(FlowLattice(EXTENT, diameter=12, noise=0.6).read(Box.of(EXTENT))), 0)


def test_fixed_arithmetic_follows_the_float_path(field: tuple[np.ndarray, np.ndarray]) -> None:
    mask, flow = field
    start = np.argwhere(mask)
    done, escaped = follow(flow, Box.of(EXTENT), EXTENT, Particles.at(start), DynamicsSettings(niter=60))
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
    at_once, _ = follow(flow, Box.of(EXTENT), EXTENT, particles, DynamicsSettings(niter=niter))
    slow = particles
    for t in range(niter):  # one step a call: no memory of the step before, so no early stop on cycles
        now = Particles(slow.start, slow.displacement, slow.steps * 0 + t)
        slow, _ = follow(flow, Box.of(EXTENT), EXTENT, now, DynamicsSettings(niter=t + 1))
    assert np.array_equal(at_once.displacement, slow.displacement)


def test_a_path_does_not_depend_on_the_window(field: tuple[np.ndarray, np.ndarray]) -> None:
    mask, flow = field
    window = Box((3, 5, 7), (21, 33, 41))
    inside = np.argwhere(mask[window.slices]) + window.start
    whole, _ = follow(flow, Box.of(EXTENT), EXTENT, Particles.at(inside), DynamicsSettings())
    part, escaped = follow(
        flow[(slice(None), *window.slices)], window, EXTENT, Particles.at(inside), DynamicsSettings()
    )
    assert 0 < escaped.mean() < 0.5
    assert np.array_equal(part.displacement[~escaped], whole.displacement[~escaped])
    resumed, _ = follow(flow, Box.of(EXTENT), EXTENT, part.take(escaped), DynamicsSettings())
    assert np.array_equal(resumed.displacement, whole.displacement[escaped])


def test_a_shifted_volume_gives_shifted_paths(field: tuple[np.ndarray, np.ndarray]) -> None:
    _, flow = field
    pad = np.pad(flow, [(0, 0), (10, 10), (20, 20), (5, 5)])
    mask = np.zeros(EXTENT, bool)
    mask[8:16, 14:26, 14:30] = True
    start = np.argwhere(mask)
    a, _ = follow(flow, Box.of(EXTENT), EXTENT, Particles.at(start), DynamicsSettings(niter=5))
    extent = pad.shape[1:]
    b, _ = follow(pad, Box.of(extent), extent, Particles.at(start + np.array((10, 20, 5))), DynamicsSettings(niter=5))
    assert np.array_equal(a.displacement, b.displacement)


def plain_cellpose(flow: np.ndarray, start: np.ndarray, niter: int) -> np.ndarray:
    """Cellpose's sampling in floats: at p * W / (W - 1) - 1/2, zero beyond the volume; positions (n, 3)."""
    side = np.array(flow.shape[1:])
    padded = np.pad(flow.astype(float) / 1024, [(0, 0), (1, 1), (1, 1), (1, 1)])
    where = start.astype(float)
    for _ in range(niter):
        at = where * side / np.maximum(side - 1, 1) - np.where(side > 1, 0.5, 0) + 1
        step = np.stack([map_coordinates(c, at.T, order=1, mode="constant") for c in padded], 1)
        where = np.clip(where + step, 0, side - 1)
    return where


@pytest.mark.parametrize("extent", [EXTENT, (1, 50, 60), (20, 1, 40)])
def test_cellpose_sampling_in_integers_follows_its_float_path(extent: tuple[int, int, int]) -> None:
    flows = integer_flows(FlowLattice(extent, diameter=12, noise=0.5, fill=0.8).read(Box.of(extent)))
    mask, flow = foreground_flow(flows, 0)
    start = np.argwhere(mask)
    done, escaped = follow(
        flow, Box.of(extent), extent, Particles.at(start), DynamicsSettings(niter=15, sampling="cellpose")
    )
    apart = np.abs(done.start + done.displacement / 4096 - plain_cellpose(flow, start, 15)).max(1)
    assert not escaped.any()
    assert np.mean(apart > 0.05) < 0.02
    assert np.array_equal(done.landed("cellpose"), done.start + (done.displacement >> 12))


@pytest.mark.parametrize("sampling", ["centre", "cellpose"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(("niter", "halo"), [(200, 3), (200, 0), (1, 0)])
def test_a_core_is_followed_as_its_particles_are(
    field: tuple[np.ndarray, np.ndarray], sampling: Sampling, planar: bool, niter: int, halo: int
) -> None:
    mask, flow = field
    core = Box((5, 8, 8), (17, 30, 39))
    window = core.grow(halo)
    part, inner = flow[(slice(None), *window.slices)], mask[core.slices]
    settings = DynamicsSettings(niter=niter, sampling=sampling, planar=planar)
    ends, left = follow_core(part, inner, window, core, EXTENT, settings)
    start = np.argwhere(inner) + core.start
    done, escaped = follow(part, window, EXTENT, Particles.at(start), settings)
    assert np.array_equal(ends == BACKGROUND, ~inner)
    landed = done.landed(sampling)
    escaped |= ((landed < window.start) | (landed >= window.stop)).any(1)
    assert np.array_equal(ends[inner] == ESCAPED, escaped)
    place = np.ravel_multi_index(tuple((done.landed(sampling)[~escaped] - window.start).T), window.shape)
    assert np.array_equal(ends[inner][~escaped], place)
    for f in ("start", "displacement", "steps"):
        assert np.array_equal(getattr(left, f), getattr(done.take(escaped), f))
    assert 0 < escaped.mean() < 1
    assert (done.displacement[:, 0] == 0).all() == planar


@pytest.mark.parametrize("extent", [EXTENT, (1, 60, 70)])
def test_cellpose_sampling_does_not_depend_on_the_window(extent: tuple[int, int, int]) -> None:
    flows = integer_flows(FlowLattice(extent, diameter=11, noise=0.4, fill=0.9).read(Box.of(extent)))
    mask, flow = foreground_flow(flows, 0)
    start = np.argwhere(mask)
    whole, _ = follow(flow, Box.of(extent), extent, Particles.at(start), DynamicsSettings(sampling="cellpose"))
    done = np.full((len(start), 3), np.iinfo(np.int32).max, np.int32)
    particles, number = Particles.at(start), np.arange(len(start))
    boxes = list(Box.of(extent).split((9, 17, 23)))
    for _ in range(100):  # each round, the particles in a box go on in a window one voxel larger
        away: list[tuple[Particles, np.ndarray]] = []
        for box in boxes:
            here = ((particles.position >= box.start) & (particles.position < box.stop)).all(1)
            window = box.grow(1) & Box.of(extent)
            part = flow[(slice(None), *window.slices)]
            moved, escaped = follow(part, window, extent, particles.take(here), DynamicsSettings(sampling="cellpose"))
            done[number[here][~escaped]] = moved.displacement[~escaped]
            away.append((moved.take(escaped), number[here][escaped]))
        particles, number = Particles.join([p for p, _ in away]), np.concatenate([n for _, n in away])
    assert len(particles) == 0
    assert np.array_equal(done, whole.displacement)


def test_a_planar_stack_is_its_planes(field: tuple[np.ndarray, np.ndarray]) -> None:
    mask, flow = field
    start = np.argwhere(mask)
    stack, _ = follow(flow, Box.of(EXTENT), EXTENT, Particles.at(start), DynamicsSettings(planar=True))
    for z in range(0, EXTENT[0], 5):
        plane = (1, *EXTENT[1:])
        alone, _ = follow(
            flow[:, z : z + 1], Box.of(plane), plane, Particles.at(np.argwhere(mask[z : z + 1])), DynamicsSettings()
        )
        assert np.array_equal(alone.displacement, stack.displacement[start[:, 0] == z])


@pytest.mark.parametrize("shape", [(3, 5, 64, 64), (3, 1, 64, 64), (4, 3, 5, 7)])
def test_planes_stand_apart_where_they_would_share_the_cache(shape: tuple[int, int, int, int]) -> None:
    flow = flow_array(shape)
    assert flow.shape == shape
    assert flow.dtype == np.int16
    assert (flow.strides[1] % 4096 != 0) or shape[1] == 1
    flow[:] = np.random.default_rng(0).integers(-9, 9, shape)
    flat, plane = as_planes(flow)
    assert np.shares_memory(flat, flow)
    assert flat.flags.c_contiguous
    z, y, x = np.indices(shape[1:])
    assert np.array_equal(flat[:, z * plane + y * shape[3] + x], flow)


def test_any_layout_of_flow_gives_the_same_paths(field: tuple[np.ndarray, np.ndarray]) -> None:
    mask, flow = field
    start, box = Particles.at(np.argwhere(mask)), Box.of(EXTENT)
    plain, _ = follow(flow, box, EXTENT, start, DynamicsSettings())
    ends, _ = follow_core(flow, mask, box, box, EXTENT, DynamicsSettings())
    wide = np.zeros((3, EXTENT[0], EXTENT[1] + 3, EXTENT[2]), np.int16)
    wide[:, :, : EXTENT[1]] = flow
    reversed_columns = np.ascontiguousarray(flow[..., ::-1])[..., ::-1]
    gaps = np.zeros((3, EXTENT[0], EXTENT[1] * EXTENT[2] + 64), np.int16)[..., : EXTENT[1] * EXTENT[2]].reshape(
        flow.shape
    )
    gaps[:] = flow
    for other in (wide[:, :, : EXTENT[1]], wide[:, ::1, : EXTENT[1]], reversed_columns, np.asfortranarray(flow), gaps):
        assert np.array_equal(follow(other, box, EXTENT, start, DynamicsSettings())[0].displacement, plain.displacement)
        assert np.array_equal(follow_core(other, mask, box, box, EXTENT, DynamicsSettings())[0], ends)
