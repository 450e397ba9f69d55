"""Flows in memory and flows by blocks give the same labels: `masks_from_flows` is the engine's plain twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bigcell
from bigcell.core.box import Box
from bigcell.testing.flows import FlowLattice

Zyx = tuple[int, int, int]
KINDS = {
    "stack": {},
    "checked": {"flow_threshold_3d": 1.2, "min_size": 40},
    "bare": {"fill_holes": False, "flow_threshold": 0.0, "max_size": 300, "min_size": 0},
    "strict": {"flow_threshold": 0.9, "cellprob_threshold": 1.0, "niter": 12},
}


def swiss(extent: Zyx, seed: int) -> np.ndarray:
    """Flows of cells with holes: voxels here and there are background."""
    flows = FlowLattice(extent, diameter=12, noise=0.5, seed=seed, fill=0.7).read(Box.of(extent))
    flows[3][np.random.default_rng(seed).random(extent) < 0.05] = -5
    return flows


@settings(max_examples=15)
@given(
    extent=st.sampled_from([(1, 60, 66), (12, 30, 41)]),
    block=st.tuples(st.integers(2, 12), st.integers(9, 40), st.integers(9, 40)),
    kind=st.sampled_from(sorted(KINDS)),
    seed=st.integers(0, 1000),
)
def test_blocks_equal_memory(extent: Zyx, block: Zyx, kind: str, seed: int) -> None:
    flows = swiss(extent, seed)
    given_flows = flows if extent[0] > 1 else flows[1:, 0]
    found = bigcell.segment(flows=given_flows, block=block[-given_flows[0].ndim :], **KINDS[kind]).labels
    assert np.array_equal(found, bigcell.masks_from_flows(given_flows[:-1], given_flows[-1], **KINDS[kind]))
    assert found.max() > 0


@pytest.mark.parametrize("kind", ["bare", "strict"])
def test_planes_of_a_stack_equal_memory(kind: str) -> None:
    flows = swiss((5, 40, 44), 3)
    found = bigcell.segment(flows=flows, do_3D=False, block=(2, 17, 44), **KINDS[kind]).labels
    assert np.array_equal(found, bigcell.masks_from_flows(flows[1:3], flows[3], **KINDS[kind]))
    assert found.max() > 5
