"""Following with torch gives the integers of following with numba."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.dynamics import follow_torch as torch_way
from bigcell.dynamics.follow import Particles, follow, follow_core, foreground_flow
from bigcell.dynamics.follow_torch import DeviceFlow, follow_core_torch, follow_torch
from bigcell.dynamics.settings import DynamicsSettings, Sampling
from bigcell.dynamics.window import integer_flows
from bigcell.testing.flows import FlowLattice

SAMPLINGS: list[Sampling] = ["centre", "cellpose"]


def same(a: tuple[Particles, Array], b: tuple[Particles, Array]) -> bool:
    """Whether particles and flags are equal, bit for bit."""
    parts = [np.array_equal(getattr(a[0], f), getattr(b[0], f)) for f in ("start", "displacement", "steps")]
    return all(parts) and np.array_equal(a[1], b[1])


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Box, tuple[int, ...], Particles, int]:
    """Any flow, as rough as int16 allows, in any window of any volume, with particles that are under way."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    extent = tuple(int(n) for n in rng.integers(1, 12, 3))
    start = tuple(int(rng.integers(0, n)) for n in extent)
    window = Box(start, tuple(int(rng.integers(a + 1, n + 1)) for a, n in zip(start, extent, strict=True)))
    size = draw(st.sampled_from([300, 1024, 4096, 32767]))
    flow = rng.integers(-size, size + 1, (3, *window.shape)).astype(np.int16)
    places = np.argwhere(np.ones(window.shape, bool)) + np.array(window.start)
    fraction = rng.integers(0, 4096, places.shape) * (places < np.array(window.stop) - 1) * rng.integers(0, 2)
    particles = Particles(places, fraction.astype(np.int32), rng.integers(0, 6, len(places)).astype(np.int32))
    return flow, window, extent, particles, draw(st.integers(1, 60))


@given(cases(), st.sampled_from(SAMPLINGS), st.booleans())
@settings(max_examples=60)
def test_torch_gives_the_same_integers(
    case: tuple[Array, Box, tuple[int, ...], Particles, int], sampling: Sampling, planar: bool
) -> None:
    *where, niter = case
    settings = DynamicsSettings(niter=niter, sampling=sampling, planar=planar)
    if planar:  # a particle of a plane starts in it
        case[3].displacement[:, 0] = 0
    assert same(follow_torch(*where, settings), follow(*where, settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("extent", [(20, 33, 36), (1, 48, 50)])
def test_a_core_gives_the_same_ends(extent: tuple[int, int, int], sampling: Sampling) -> None:
    flows = FlowLattice(extent, diameter=11, noise=0.5).read(Box.of(extent))
    window = Box((0, 3, 2), (min(extent[0], 15), 30, 31))
    mask, flow = foreground_flow(integer_flows(flows)[(slice(None), *window.slices)], 0)
    core = Box((0, 6, 5), (min(extent[0], 12), 27, 28))
    mask = mask[core.relative_to(window).slices]
    case = (flow, mask, window, core, extent, DynamicsSettings(sampling=sampling))
    ends, left = follow_core_torch(*case)
    plain, plain_left = follow_core(*case)
    assert np.array_equal(ends, plain)
    assert ends.dtype == plain.dtype
    assert same((left, ends), (plain_left, plain))


def test_batches_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    extent = (10, 20, 22)
    mask, flow = foreground_flow(integer_flows(FlowLattice(extent, diameter=8).read(Box.of(extent))), 0)
    particles = Particles.at(np.argwhere(mask))
    settings = DynamicsSettings(niter=60)
    whole = follow_torch(flow, Box.of(extent), extent, particles, settings)
    core = follow_core_torch(flow, mask, Box.of(extent), Box.of(extent), extent, settings)
    monkeypatch.setattr(torch_way, "BATCH", 100)
    monkeypatch.setattr(torch_way, "VOXELS_PER_PACK", 3 * 20 * 22)
    assert same(follow_torch(flow, Box.of(extent), extent, particles, settings), whole)
    assert np.array_equal(follow_core_torch(flow, mask, Box.of(extent), Box.of(extent), extent, settings)[0], core[0])


def test_no_particles() -> None:
    flow, box = np.zeros((3, 2, 3, 4), np.int16), Box.of((2, 3, 4))
    done, escaped = follow_torch(flow, box, (2, 3, 4), Particles.at(np.zeros((0, 3))), DynamicsSettings())
    assert len(done) == len(escaped) == 0
    ends, left = follow_core_torch(flow, np.zeros((2, 3, 4), bool), box, box, (2, 3, 4), DynamicsSettings())
    assert (ends == -1).all()
    assert len(left) == 0


def test_a_window_too_large_for_a_tensor_is_refused() -> None:
    flow = np.zeros((3, 1, 1, 1), np.int16)
    with pytest.raises(InputError, match="smaller blocks"):
        DeviceFlow.of(flow, Box.of((2048, 1024, 1024)), (4096, 1024, 1024), ("centre", False), None)  # type: ignore[arg-type]
