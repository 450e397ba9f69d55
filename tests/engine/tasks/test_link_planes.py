"""Planes linked block by block equal `link_planes` of the whole stack, for any blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bigcell
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import SettingsError
from bigcell.core.volume import ArrayVolume
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import RunSettings
from bigcell.engine.runtime.events import TaskDone
from bigcell.stitch.clean import CleanSettings
from bigcell.stitch.number import SizeSettings
from bigcell.stitch.pieces import Pieces
from bigcell.stitch.planes import link_planes
from bigcell.synthetic import sample_volume
from bigcell.testing.files import files_of
from bigcell.testing.flows import FlowLattice

Zyx = tuple[int, int, int]
Finish = Callable[[np.ndarray, np.ndarray, Plan], tuple[np.ndarray, Pieces, list[str]]]


def plan_of(extent: Zyx, block: Zyx, threshold: float, clean: CleanSettings, min_size: int = 0) -> Plan:
    run = RunSettings(
        block,
        dynamics=DynamicsSettings(planar=True),
        sizes=SizeSettings(min_size),
        clean=clean,
        stitch_threshold=threshold,
    )
    return Plan(extent, Spacing(), ("dz", "dy", "dx", "cellprob"), "float32", run, flows={"source": "test"})


def stack(extent: Zyx, seed: int, empty: float) -> np.ndarray:
    """Planes of discs that drift from plane to plane, named by voxels of their plane; some planes are empty."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(extent, np.int64)
    y, x = np.indices(extent[1:])
    centre = rng.uniform(0, extent[1:], (12, 2))
    for z, plane in enumerate(labels):
        if rng.random() < empty:
            continue
        centre += rng.normal(0, 1.2, centre.shape)
        names = 1 + z * plane.size + rng.permutation(plane.size)[:12]
        for name, (b, c) in zip(names, centre, strict=True):
            ring = rng.choice([0, 0, 2])
            r2 = (y - b) ** 2 + (x - c) ** 2
            plane[(r2 <= rng.uniform(2, 6) ** 2) & (r2 >= ring)] = name
    return labels


def linked(finish: Finish, labels: np.ndarray, threshold: float, min_size: int, clean: CleanSettings) -> np.ndarray:
    """The definition: planes cleaned each on its own, numbered, linked as a whole, small objects dropped."""
    flows = np.zeros((4, *labels.shape), np.float32)
    cleaned = finish(labels, flows, plan_of(labels.shape, labels.shape, 0.0, clean))[0]
    if threshold == 0:
        every = cleaned
    else:
        planes = np.stack([np.unique(p, return_inverse=True)[1].reshape(p.shape) + (p.min() > 0) for p in cleaned])
        every = link_planes(planes, threshold)
    ids, place, count = np.unique(every, return_inverse=True, return_counts=True)
    stays = (ids > 0) & (count >= min_size)
    return np.where(stays, np.cumsum(stays), 0)[place].reshape(labels.shape)


@settings(max_examples=50)
@given(
    extent=st.tuples(st.integers(2, 12), st.integers(8, 30), st.integers(8, 30)),
    block=st.tuples(st.integers(1, 6), st.integers(3, 30), st.integers(3, 30)),
    threshold=st.sampled_from([0.0, 0.1, 0.25, 0.7, 1.0]),
    min_size=st.sampled_from([0, 20, 60]),
    fill=st.booleans(),
    empty=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_blockwise_equals_the_whole(
    finish: Finish, extent: Zyx, block: Zyx, threshold: float, min_size: int, fill: bool, empty: float, seed: int
) -> None:
    labels = stack(extent, seed, empty)
    clean = CleanSettings(fill, flow_threshold=0)
    if threshold == 0:
        min_size = 0  # counted before holes are filled where planes are not linked: not what this compares
    flows = np.zeros((4, *extent), np.float32)
    found, rows, _ = finish(labels, flows, plan_of(extent, block, threshold, clean, min_size))
    wanted = linked(finish, labels, threshold, min_size, clean)
    assert np.array_equal(found, wanted)
    assert rows.voxels.tolist() == np.bincount(wanted.ravel())[1:].tolist()
    for i in range(1, len(rows) + 1):
        where = np.argwhere(wanted == i)
        assert [rows.low[i - 1].tolist(), rows.high[i - 1].tolist()] == [
            where.min(0).tolist(),
            (where.max(0) + 1).tolist(),
        ]


def test_a_column_through_many_layers_is_one_object(finish: Finish) -> None:
    labels = np.zeros((9, 8, 8), np.int64)
    labels[:, 2:6, 2:6] = (1 + 64 * np.arange(9) + 27)[:, None, None]
    plan = plan_of((9, 8, 8), (2, 5, 5), 0.5, CleanSettings(flow_threshold=0), 100)
    found, rows, _ = finish(labels, np.zeros((4, 9, 8, 8), np.float32), plan)
    assert rows.voxels.tolist() == [144]
    assert np.array_equal(found > 0, labels > 0)


def test_linking_needs_planes() -> None:
    with pytest.raises(SettingsError, match="do_3D=False"):
        RunSettings((1, 1, 1), stitch_threshold=0.25)
    with pytest.raises(SettingsError, match="IoU"):
        RunSettings((1, 1, 1), stitch_threshold=1.5)


@pytest.mark.parametrize("block", [(2, 15, 40), (3, 40, 11)])
def test_a_stack_is_its_planes(block: Zyx) -> None:
    """Without linking every plane is what it is alone; with it, what `link_planes` makes of those. dz is ignored."""
    extent, plane = (5, 40, 40), (1, 40, 40)
    lattices = [FlowLattice(plane, diameter=11, noise=0.4, seed=z // 3) for z in range(5)]
    flows = np.concatenate([lattice.read(Box.of(plane)) for lattice in lattices], 1)
    flows[0] = np.random.default_rng(0).normal(0, 5, extent)
    alone = [bigcell.segment(flows=flows[1:, z], flow_threshold=0.8, min_size=0).labels for z in range(5)]
    assert min(labels.max() for labels in alone) > 5
    apart = bigcell.segment(flows=flows, do_3D=False, flow_threshold=0.8, min_size=0, block=block).labels
    offset = 0
    for found, wanted in zip(apart, alone, strict=True):
        assert np.array_equal(found, np.where(wanted > 0, wanted + offset, 0))
        offset += int(wanted.max())
    joined = bigcell.segment(flows=flows, stitch_threshold=0.25, flow_threshold=0.8, min_size=0, block=block)
    assert np.array_equal(joined.labels, link_planes(np.stack(alone), 0.25))
    assert joined.objects < offset


def test_linked_stacks_resume_and_spread(tmp_path: Path, store: Callable[..., Path]) -> None:
    extent = (6, 30, 30)
    path = store(tmp_path / "f.zarr", FlowLattice(extent, diameter=11, noise=0.4).read(Box.of(extent)))
    seen = []
    for cluster, block in (("serial", (6, 30, 30)), ("processes", (2, 13, 30)), ("local", (1, 30, 17))):
        out = tmp_path / f"{cluster}.zarr"
        result = bigcell.segment(
            flows=path, output=out, block=block, cluster=cluster, workers=2, stitch_threshold=0.1, flow_threshold=0
        )
        assert result.path is not None
        assert result.objects > 3
        seen.append(files_of(result.path / "objects.parquet"))
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize(
    "stage",
    [
        "filter_by_flow_error",
        "fill_holes",
        "plane_overlaps",
        "link_planes",
        "assign_ids",
        "write_labels",
        "write_table",
    ],
)
def test_a_run_that_stops_anywhere_ends_the_same(tmp_path: Path, store: Callable[..., Path], stage: str) -> None:
    extent = (6, 30, 30)
    flows = FlowLattice(extent, diameter=11, noise=0.6).read(Box.of(extent))
    flows[3][np.random.default_rng(0).random(extent) < 0.05] = -5
    path = store(tmp_path / "f.zarr", flows)
    options = {"block": (2, 17, 30), "cluster": "serial", "stitch_threshold": 0.1, "flow_threshold": 1.4}
    plain = bigcell.segment(flows=path, output=tmp_path / "plain.zarr", **options)
    assert plain.counts["filled"] > 0
    assert plain.counts["unfit"] > 0
    seen = 0

    def stop(event: object) -> None:
        nonlocal seen
        if isinstance(event, TaskDone) and event.stage == stage:
            seen += 1
            if seen == 1:
                raise RuntimeError("stopped by the test")

    with pytest.raises(RuntimeError, match="stopped by the test"):
        bigcell.segment(flows=path, output=tmp_path / "out.zarr", listener=stop, **options)
    resumed = bigcell.resume(tmp_path / "out.zarr", cluster="serial")
    assert resumed.counts["labels_sha256"] == plain.counts["labels_sha256"]
    assert plain.path is not None
    assert resumed.path is not None
    tables = [files_of(r.path / "objects.parquet") for r in (plain, resumed)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize("options", [{"do_3D": False}, {"stitch_threshold": 0.2}])
def test_planes_through_a_network(options: dict[str, Any]) -> None:
    """Whatever the blocks; the views along z are not run."""
    made = sample_volume((6, 50, 54), diameter=16, seed=3)
    image = ArrayVolume(made.image, made.spacing)
    whole = bigcell.segment(image, model="cyto", diameter=16, tile=48, **options)
    parts = bigcell.segment(image, model="cyto", diameter=16, tile=48, block=(4, 30, 33), **options)
    assert np.array_equal(whole.labels, parts.labels)
    assert whole.objects > 4
    assert bigcell.plan(image, diameter=16, **options).lattice.views == (0,)
    joined = np.unique(np.argwhere(whole.labels == 1)[:, 0])
    assert (len(joined) > 1) == ("stitch_threshold" in options)


def test_both_ways_at_once_are_refused() -> None:
    with pytest.raises(SettingsError, match="give one of them"):
        bigcell.segment(flows=np.zeros((4, 3, 9, 9), np.float32), do_3D=True, stitch_threshold=0.3)
