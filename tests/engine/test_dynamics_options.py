"""Cellpose's sampling and planes on their own: the same labels for any blocks, and those of the whole in one window."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import bigcell
from bigcell.cli.app import app
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import SettingsError
from bigcell.core.volume import ArrayVolume
from bigcell.dynamics.masks import masks_from_flows
from bigcell.dynamics.settings import DynamicsSettings, Sampling
from bigcell.engine.pipeline.in_memory import segment_in_memory
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import RunSettings
from bigcell.testing.flows import FlowLattice

Zyx = tuple[int, int, int]


def labels_of(flows: np.ndarray, block: Zyx, dynamics: DynamicsSettings) -> np.ndarray:
    run = RunSettings(block, dynamics=dynamics)
    plan = Plan(flows.shape[1:], Spacing(), ("dz", "dy", "dx", "cellprob"), "float32", run, flows={"source": "test"})
    result = segment_in_memory(plan, None, ArrayVolume(flows))
    assert result.labels is not None
    return result.labels


flat = st.tuples(st.just(1), st.integers(20, 60), st.integers(20, 60))
solid = st.tuples(st.integers(6, 24), st.integers(12, 34), st.integers(12, 34))


@settings(max_examples=25)
@given(
    extent=st.one_of(flat, solid),
    block=st.tuples(st.integers(1, 16), st.integers(5, 30), st.integers(5, 30)),
    kind=st.builds(
        DynamicsSettings,
        halo=st.sampled_from([1, 3, 8]),
        sampling=st.sampled_from(["centre", "cellpose"]),
        planar=st.booleans(),
    ),
    noise=st.sampled_from([0.0, 0.4, 1.5]),
    seed=st.integers(0, 1000),
)
def test_blockwise_equals_the_whole(extent: Zyx, block: Zyx, kind: DynamicsSettings, noise: float, seed: int) -> None:
    flows = FlowLattice(extent, diameter=9, noise=noise, seed=seed, fill=0.7).read(Box.of(extent))
    if extent[0] > 1 and kind.planar:
        flows[0] = np.random.default_rng(seed).normal(0, 5, extent)  # nobody looks at dz
    two = kind.planar or extent[0] == 1
    whole = masks_from_flows(flows[1:3] if two else flows[:3], flows[3], sampling=kind.sampling)
    assert np.array_equal(labels_of(flows, block, kind), whole)


def test_the_two_samplings_differ_and_reach_the_run(lattice: FlowLattice, flow_store: Path, tmp_path: Path) -> None:
    flows, found = lattice.read(Box.of(lattice.extent)), {}
    for sampling in get_args(Sampling):
        out = tmp_path / f"{sampling}.zarr"
        line = ["segment", "--flows", str(flow_store), "--output", str(out), "--sampling", sampling, "--workers", "1"]
        assert CliRunner().invoke(app, line).exit_code == 0
        found[sampling] = np.asarray(zarr.open_array(out / "labels" / "cells" / "0", mode="r")[...])
        assert np.array_equal(found[sampling], masks_from_flows(flows[:3], flows[3], sampling=sampling))
    assert not np.array_equal(found["centre"], found["cellpose"])


def test_another_word_is_refused() -> None:
    with pytest.raises(SettingsError, match="sampling 'half': wanted 'centre' or 'cellpose'"):
        bigcell.segment(flows=np.zeros((4, 4, 9, 9), np.float32), sampling="half")  # type: ignore[typeddict-item]
