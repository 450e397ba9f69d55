"""The first promise: labels made blockwise equal those of one block over the whole array, voxel by voxel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bigcell
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.volume import ArrayVolume
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.dynamics.window import integer_flows, label_window
from bigcell.engine.pipeline.in_memory import segment_in_memory
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import RunSettings
from bigcell.stitch.clean import CleanSettings
from bigcell.stitch.number import SizeSettings
from bigcell.testing.flows import FlowLattice

Zyx = tuple[int, int, int]
AS_FOUND = CleanSettings(fill_holes=False, flow_threshold=0)
"""Cleaning has tests of its own."""


def plan_of(extent: Zyx, block: Zyx, halo: int = 4, min_size: int = 15) -> Plan:
    run = RunSettings(block, dynamics=DynamicsSettings(halo=halo), sizes=SizeSettings(min_size), clean=AS_FOUND)
    return Plan(extent, Spacing(), ("dz", "dy", "dx", "cellprob"), "float32", run, flows={"source": "test"})


def labels_of(flows: np.ndarray, block: Zyx, halo: int = 4, min_size: int = 15) -> np.ndarray:
    plan = plan_of(flows.shape[1:], block, halo, min_size)
    result = segment_in_memory(plan, None, ArrayVolume(flows))
    assert result.labels is not None
    assert result.labels.max() == result.objects
    return result.labels


def plain_labels(flows: np.ndarray, min_size: int) -> np.ndarray:
    """The definition: one window, small objects dropped, numbers in raster order of the sinks."""
    extent = flows.shape[1:]
    named = label_window(integer_flows(flows), Box.of(extent), extent, DynamicsSettings())
    names, inverse, counts = np.unique(named, return_inverse=True, return_counts=True)
    kept = (counts >= min_size) & (names > 0)
    return np.where(kept, np.cumsum(kept), 0)[inverse].reshape(extent)


flat = st.tuples(st.just(1), st.integers(20, 70), st.integers(20, 70))
solid = st.tuples(st.integers(8, 30), st.integers(12, 40), st.integers(12, 40))


@settings(max_examples=25)
@given(
    extent=st.one_of(flat, solid),
    block=st.tuples(st.integers(3, 24), st.integers(5, 40), st.integers(5, 40)),
    halo=st.sampled_from([1, 3, 8]),
    noise=st.sampled_from([0.0, 0.4, 1.5]),
    seed=st.integers(0, 1000),
)
def test_blockwise_equals_the_whole(extent: Zyx, block: Zyx, halo: int, noise: float, seed: int) -> None:
    lattice = FlowLattice(extent, diameter=9, noise=noise, seed=seed, fill=0.7)
    flows = lattice.read(Box.of(extent))
    whole = labels_of(flows, extent)
    assert np.array_equal(labels_of(flows, block, halo), whole)
    assert np.array_equal(whole, plain_labels(flows, 15))


def test_a_block_thinner_than_every_path() -> None:
    flows = FlowLattice((30, 30, 30), diameter=14, noise=0.5).read(Box.of((30, 30, 30)))
    assert np.array_equal(labels_of(flows, (1, 30, 2), halo=1), labels_of(flows, (30, 30, 30)))


def test_one_long_channel_of_flow_crosses_many_blocks() -> None:
    """Paths far longer than a block or its halo end in the same sink."""
    flows = np.zeros((4, 1, 9, 200), np.float32)
    flows[3], flows[3, :, :, 150:] = 5, -5
    flows[2, :, :, :149] = 5
    flows[1, :, :4], flows[1, :, 5:] = 5, -5
    whole = labels_of(flows, (1, 9, 200))
    assert whole.max() == 1
    assert np.count_nonzero(whole) == 9 * 150
    assert np.array_equal(labels_of(flows, (1, 4, 12), halo=1), whole)


@pytest.mark.parametrize("block", [(16, 16, 16), (30, 8, 40)])
def test_order_of_tasks_does_not_matter(block: Zyx, monkeypatch: pytest.MonkeyPatch) -> None:
    from bigcell.engine.runtime import executors

    flows = FlowLattice((24, 40, 40), diameter=10, noise=0.6).read(Box.of((24, 40, 40)))
    plain = labels_of(flows, block)
    rng = np.random.default_rng(0)

    def shuffled(self, function, items):  # type: ignore[no-untyped-def]
        every = list(items)
        for i in rng.permutation(len(every)):
            yield function(every[i])

    monkeypatch.setattr(executors.SerialExecutor, "map", shuffled)
    assert np.array_equal(labels_of(flows, block), plain)


def test_flows_of_a_plane_need_no_dz() -> None:
    flows = FlowLattice((1, 50, 60), diameter=10).read(Box.of((1, 50, 60)))
    plane = bigcell.segment(flows=flows[1:, 0], flow_threshold=0, fill_holes=False)
    assert plane.objects > 10
    assert np.array_equal(plane.labels, labels_of(flows, (1, 50, 60))[0])


def test_nothing_found_is_not_an_error() -> None:
    flows = np.full((4, 5, 20, 20), -5, np.float32)
    assert not labels_of(flows, (5, 10, 10)).any()


def test_the_plan_id_ignores_costs_but_no_setting() -> None:
    plan = plan_of((8, 8, 8), (4, 4, 4))
    from bigcell.engine.planning.memory_cost import estimate

    assert replace(plan, budget=estimate(plan)).id == plan.id
    assert plan_of((8, 8, 8), (4, 4, 4), min_size=3).id != plan.id
    assert Plan.from_json(plan.to_json()) == plan
