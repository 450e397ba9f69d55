"""Mode S: a window that reaches 2R + 8 beyond a block labels it as the whole volume does."""

from __future__ import annotations

import numpy as np
import pytest

from bigcell.core.box import Box
from bigcell.dynamics.follow import Particles, follow, foreground_flow
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.dynamics.window import WINDOW_HALO, integer_flows, integer_flows_into, label_window
from bigcell.testing.flows import FlowLattice


@pytest.mark.parametrize("noise", [0.0, 0.6])
def test_blocks_with_the_halo_of_the_theorem_equal_the_whole(noise: float) -> None:
    extent = (48, 56, 60)
    flows = integer_flows(FlowLattice(extent, diameter=11, noise=noise).read(Box.of(extent)))
    settings = DynamicsSettings()
    whole = label_window(flows, Box.of(extent), extent, settings)
    mask, flow = foreground_flow(flows, 0)
    done, _ = follow(flow, Box.of(extent), extent, Particles.at(np.argwhere(mask)), settings)
    radius = int(np.abs(done.end - done.start).max()) + 2  # paths here are nearly straight
    for core in Box.of(extent).split((20, 24, 28)):
        window = core.grow(2 * radius + WINDOW_HALO) & Box.of(extent)
        part = label_window(flows[(slice(None), *window.slices)], window, extent, settings)
        assert np.array_equal(part[core.relative_to(window).slices], whole[core.slices])


def test_exact_flows_give_the_cells_they_were_made_from() -> None:
    lattice = FlowLattice((32, 64, 64), diameter=14, noise=0.0, jitter=0.2)
    box = Box.of(lattice.extent)
    labels = label_window(integer_flows(lattice.read(box)), box, lattice.extent, DynamicsSettings())
    truth = lattice.truth(box)
    assert np.mean((labels > 0) == (truth > 0)) > 0.99
    right = 0
    for cell in np.unique(truth[truth > 0]):
        names, counts = np.unique(labels[truth == cell], return_counts=True)
        right += counts.max() if names[counts.argmax()] else 0
    assert right / np.count_nonzero(truth) > 0.97


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_integers_in_place_are_those_of_the_plain_way(dtype: type) -> None:
    rng = np.random.default_rng(0)
    flows = (rng.normal(0, 12, (4, 5, 7, 9)) * rng.choice([0.01, 1, 3], (4, 5, 7, 9))).astype(dtype)
    out = np.zeros(flows.shape, np.int16)
    assert integer_flows_into(flows, out)
    assert np.array_equal(out, integer_flows(flows))
    flows[2, 3, 1, 1] = np.inf
    assert not integer_flows_into(flows, out)
    flows[2, 3, 1, 1] = np.nan
    assert not integer_flows_into(flows, out)
