"""Many particles at once end where one at a time does, whatever the flow, the window and the cycles they fall into."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.dynamics.follow import Particles, follow, follow_core
from bigcell.dynamics.paths import BACKGROUND, ESCAPED
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.dynamics.simd_follow import BATCH, FASTEST, lanes_can_follow


def ends_one_by_one(flow: Array, mask: Array, window: Box, core: Box, extent: tuple[int, ...], niter: int) -> Array:
    """What `follow_core` should give, from `follow`."""
    start = np.argwhere(mask) + core.start
    done, escaped = follow(flow, window, extent, Particles.at(start), DynamicsSettings(niter=niter))
    landed = done.landed("centre")
    escaped |= ((landed < window.start) | (landed >= window.stop)).any(1)
    ends = np.full(core.shape, BACKGROUND)
    place = np.full(len(start), ESCAPED)
    place[~escaped] = np.ravel_multi_index(tuple((landed[~escaped] - window.start).T), window.shape)
    ends[mask] = place
    return ends


@st.composite
def cases(draw: st.DrawFn) -> tuple[Array, Array, Box, Box, tuple[int, ...]]:
    """Flow as rough as lanes can follow, in any window of a volume, with any core in it."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    extent = tuple(int(n) for n in rng.integers(2, 20, 3))
    start = tuple(int(rng.integers(0, n - 1)) for n in extent)
    window = Box(start, tuple(int(rng.integers(a + 2, n + 1)) for a, n in zip(start, extent, strict=True)))
    low = tuple(int(rng.integers(a, b)) for a, b in zip(window.start, window.stop, strict=True))
    core = Box(low, tuple(int(rng.integers(a + 1, b + 1)) for a, b in zip(low, window.stop, strict=True)))
    size = draw(st.sampled_from([100, 600, 1500, FASTEST]))
    flow = rng.integers(-size, size + 1, (3, *window.shape)).astype(np.int16)
    if draw(st.booleans()):
        flow = (np.sign(flow) * size).astype(np.int16)
    return flow, rng.random(core.shape) < rng.choice([0.3, 1]), window, core, extent


@given(cases(), st.sampled_from([1, 7, 8, 9, 16, 60, 200, 203]))
@settings(max_examples=150)
def test_ends_are_those_of_particles_one_by_one(
    case: tuple[Array, Array, Box, Box, tuple[int, ...]], niter: int
) -> None:
    flow, mask, window, core, extent = case
    assert lanes_can_follow(flow, window)
    ends, left = follow_core(flow, mask, window, core, extent, DynamicsSettings(niter=niter))
    assert np.array_equal(ends, ends_one_by_one(flow, mask, window, core, extent, niter))
    assert len(left) == np.count_nonzero(ends == ESCAPED)


@pytest.mark.parametrize("niter", [200, 201, 202, 203])
def test_many_batches_and_cycles_of_all_lengths(niter: int) -> None:
    rng = np.random.default_rng(5)
    extent = (24, 30, 33)
    flow = rng.normal(0, 700, (3, *extent)).clip(-FASTEST, FASTEST).astype(np.int16)
    mask, box = np.ones(extent, bool), Box.of(extent)
    assert mask.sum() > 10 * BATCH
    ends = follow_core(flow, mask, box, box, extent, DynamicsSettings(niter=niter))[0]
    assert np.array_equal(ends, ends_one_by_one(flow, mask, box, box, extent, niter))
    periods = cycle_lengths(flow, niter)
    assert {1, 2, 3, 4, 6} <= periods.keys(), periods


def cycle_lengths(flow: Array, niter: int) -> Counter[int]:
    """After how many steps more than `niter` the particles of a whole volume are first where they are after `niter`."""
    extent = flow.shape[1:]
    start = np.argwhere(np.ones(extent, bool))
    now, _ = follow(flow, Box.of(extent), extent, Particles.at(start), DynamicsSettings(niter=niter))
    period = np.zeros(len(start), int)
    for more in range(1, 13):
        later, _ = follow(flow, Box.of(extent), extent, Particles.at(start), DynamicsSettings(niter=niter + more))
        period[(period == 0) & (later.displacement == now.displacement).all(1)] = more
    return Counter(period.tolist())


def test_what_32_bits_cannot_hold_goes_the_plain_way() -> None:
    extent = (6, 7, 8)
    box, mask = Box.of(extent), np.ones(extent, bool)
    flow = np.random.default_rng(0).integers(-32767, 32768, (3, *extent)).astype(np.int16)
    assert not lanes_can_follow(flow, box)
    assert not lanes_can_follow(np.full((3, *extent), -FASTEST - 1, np.int16), box)
    assert not lanes_can_follow(np.zeros((3, 1, 7, 8), np.int16), Box.of((1, 7, 8)))
    assert not lanes_can_follow(np.zeros((3, 2, 2, 2), np.int16), Box.of((2, 2, 2**19)))
    ends = follow_core(flow, mask, box, box, extent, DynamicsSettings(niter=50))[0]
    assert np.array_equal(ends, ends_one_by_one(flow, mask, box, box, extent, 50))
