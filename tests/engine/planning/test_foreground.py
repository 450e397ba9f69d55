"""Where there is no foreground nothing is done: the labels are those of the plain run over masked flows, and what is
skipped is neither read nor written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bigcell
from bigcell import api
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import PlanError
from bigcell.core.volume import ArrayVolume
from bigcell.engine.pipeline.segment import measure
from bigcell.engine.pipeline.stage_runner import Run
from bigcell.engine.planning import foreground_mask, memory_cost
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.foreground import is_active
from bigcell.engine.planning.foreground_note import ENTRY
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.request import Request
from bigcell.engine.runs.ended import read_record
from bigcell.engine.runtime.events import Notice
from bigcell.engine.tasks.job import Job
from bigcell.io.ngff.write_image import write_image
from bigcell.io.scratch import MemoryScratch
from bigcell.preprocess.foreground import Foreground
from bigcell.preprocess.normalize import NormalizeSettings
from bigcell.testing.disturbed import Stopping
from bigcell.testing.files import files_of
from bigcell.testing.flows import FlowLattice

Zyx = tuple[int, int, int]
SIDE = 16


def lattice_flows(extent: Zyx, seed: int = 0) -> np.ndarray:
    return FlowLattice(extent, diameter=9, noise=0.4, seed=seed, fill=0.7).read(Box.of(extent))


def coarse_mask(extent: Zyx, seed: int, share: float) -> np.ndarray:
    """A mask in voxels of 16, some of it set."""
    shape = tuple(max(1, n // SIDE) for n in extent)
    mask = (np.random.default_rng(seed).random(shape) < share).astype(np.uint8)
    mask.flat[seed % mask.size] = 1
    return mask


def full(mask: np.ndarray, extent: Zyx) -> np.ndarray:
    """The mask voxel by voxel."""
    z, y, x = (np.arange(n) * m // n for n, m in zip(extent, mask.shape, strict=True))
    return mask[np.ix_(z, y, x)] != 0


def plainly_masked(flows: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The definition: outside the mask, background that does not move."""
    inside = full(mask, flows.shape[1:])
    out = np.where(inside, flows, 0)
    out[3][~inside] = -30
    return out


@dataclass(frozen=True)
class Watched:
    """A volume that notes what is read of it."""

    volume: ArrayVolume
    boxes: list[Box] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.volume, name)

    def read(self, box: Box) -> np.ndarray:
        self.boxes.append(box)
        return self.volume.read(box)


def plan_of(result: bigcell.Result) -> Plan:
    return Plan.from_json(read_record(result.path or "").plan)


flat = st.tuples(st.just(1), st.integers(2, 9), st.integers(2, 12))
solid = st.tuples(st.integers(1, 2), st.integers(2, 4), st.integers(2, 9))


@settings(max_examples=15)
@given(
    cells=st.one_of(flat, solid),
    block=st.tuples(st.integers(3, 24), st.integers(9, 50), st.integers(9, 50)),
    share=st.sampled_from([0.02, 0.2, 0.7, 1.0]),
    seed=st.integers(0, 1000),
    layers=st.integers(0, 2),
    option=st.sampled_from([{}, {"do_3D": False}, {"stitch_threshold": 0.2}, {"flow_threshold_3d": 0.5}]),
)
def test_labels_are_those_of_the_plain_masked_run(
    cells: Zyx, block: Zyx, share: float, seed: int, layers: int, option: dict[str, Any]
) -> None:
    """Stage after stage (0 layers), and slab by slab."""
    extent = (1 if cells[0] == 1 and cells[1] > 4 else cells[0] * SIDE, cells[1] * SIDE, cells[2] * SIDE)
    flows, mask = lattice_flows(extent, seed), coarse_mask(extent, seed, share)
    whole = bigcell.segment(flows=plainly_masked(flows, mask), **option)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_cost, "choose_order", lambda plan, workers: (layers, 0))
        found = bigcell.segment(flows=flows, foreground=mask, block=block, **option)
    assert found.objects == whole.objects
    assert np.array_equal(found.labels, whole.labels)
    assert whole.table is not None
    assert found.table is not None
    for name, column in whole.table.items():
        assert np.array_equal(found.table[name], column), name


@pytest.fixture(scope="module")
def ends_mask() -> np.ndarray:
    """Foreground at both ends along x, and nothing between."""
    mask = np.zeros((1, 4, 38), np.uint8)
    mask[:, :, :4] = mask[:, 1:, 36:] = 1
    return mask


@pytest.mark.parametrize("option", [{}, {"do_3D": False}, {"stitch_threshold": 0.2}, {"flow_threshold_3d": 0.5}])
def test_what_is_skipped_is_neither_read_nor_written(
    long_flows: np.ndarray, ends_mask: np.ndarray, tmp_path: Path, option: dict[str, Any]
) -> None:
    watched = Watched(ArrayVolume(long_flows))
    told: list[str] = []
    result = bigcell.segment(
        flows=watched, foreground=ends_mask, block=(16, 32, 40), output=tmp_path / "out.zarr", cluster="serial",
        listener=lambda event: told.append(event.text) if isinstance(event, Notice) else None, **option,
    )  # fmt: skip
    plan = plan_of(result)
    empty = [k for k in range(len(plan.grid)) if not full(ends_mask, plan.extent)[plan.grid.core(k).slices].any()]
    assert len(empty) > 20
    for box in watched.boxes:
        assert all((box & plan.grid.core(k)).is_empty for k in empty), box
    assert sum(box.size for box in watched.boxes) > 0
    skipped = result.counts["skipped"]
    assert 14 <= skipped <= len(empty)
    assert len(told) == 1
    assert told[0].startswith(f"{skipped} of 32 blocks have to do with no foreground and are skipped")
    assert {stage: entry["tasks"] for stage, entry in result.stages.items()}["follow_flows"] == 32 - skipped
    shards = sorted(p.name for p in (result.path / "0" / "c").rglob("*") if p.is_file())
    assert len(shards) == 2  # of three along x
    masked = plainly_masked(long_flows, ends_mask)
    whole = bigcell.segment(flows=masked, output=tmp_path / "whole.zarr", cluster="serial", **option)
    assert files_of(whole.path) == files_of(result.path)
    assert whole.counts["labels_sha256"] == result.counts["labels_sha256"]
    assert whole.objects > 50


def test_a_hole_may_hold_blocks_that_are_skipped() -> None:
    y, x = np.indices((288, 288)) - 144
    far = np.hypot(y, x)
    ring = ((far < 140) & (far > 110)).astype(np.int32)
    flows = np.concatenate([bigcell.flows_from_labels(ring), [10.0 * ring - 5]]).astype(np.float32)
    mask = np.ones((18, 18), np.uint8)
    mask[5:13, 5:13] = 0  # inside the hole
    arguments: dict[str, Any] = {"niter": 3000, "flow_threshold": 0}
    whole = bigcell.segment(flows=flows, **arguments)
    told: list[str] = []
    found = bigcell.segment(
        flows=flows, foreground=mask, block=(1, 16, 16), **arguments,
        listener=lambda event: told.append(event.text) if isinstance(event, Notice) else None,
    )  # fmt: skip
    assert whole.objects == 1
    assert whole.labels is not None
    assert whole.labels[144, 144] == 1
    assert np.array_equal(found.labels, whole.labels)
    assert not told[0].startswith("0 of")


@pytest.mark.parametrize("push", [5, 20])
def test_paths_that_leave_the_foreground_end_in_blocks_without(push: int) -> None:
    flows = np.zeros((4, 1, 64, 160), np.float32)
    flows[2], flows[3] = push, 10
    mask = np.zeros((4, 10), np.uint8)
    mask[:, :3] = 1
    whole = bigcell.segment(flows=plainly_masked(flows, mask[None]), flow_threshold=0)
    found = bigcell.segment(flows=flows, foreground=mask, block=(1, 64, 16), flow_threshold=0)
    assert whole.objects > 0
    assert np.array_equal(found.labels, whole.labels)
    assert whole.table is not None
    assert found.table is not None
    assert all(np.array_equal(found.table[name], column) for name, column in whole.table.items())


def test_foreground_everywhere_is_as_none(tmp_path: Path, flow_store: Path) -> None:
    one = bigcell.segment(flows=flow_store, output=tmp_path / "one.zarr", block=(20, 32, 32), cluster="serial")
    other = bigcell.segment(
        flows=flow_store, output=tmp_path / "other.zarr", block=(20, 32, 32), cluster="serial",
        foreground=np.ones((1, 1, 1), bool),
    )  # fmt: skip
    assert files_of(one.path) == files_of(other.path)
    assert one.counts | {"skipped": 0} == other.counts


@pytest.mark.parametrize("cluster", ["processes", "local"])
def test_workers_see_the_same_foreground(
    long_flows: np.ndarray, ends_mask: np.ndarray, tmp_path: Path, store: Callable[..., Path], cluster: str
) -> None:
    path = store(tmp_path / "flows.zarr", long_flows)
    result = bigcell.segment(flows=path, foreground=ends_mask, block=(16, 40, 100), cluster=cluster, workers=2)
    memory = bigcell.segment(flows=long_flows, foreground=ends_mask)
    assert memory.objects == result.objects
    assert np.array_equal(memory.labels, voxels_of(result))


def voxels_of(result: bigcell.Result) -> np.ndarray:
    from bigcell.io.ngff.image import open_image

    volume = open_image(result.path or "")
    return volume.read(Box.of(volume.extent))[0]


def test_an_interrupted_run_goes_on_without_the_mask(
    long_flows: np.ndarray, ends_mask: np.ndarray, tmp_path: Path, store: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = store(tmp_path / "flows.zarr", long_flows[:, :, :, :320])
    mask = write_image(tmp_path / "mask.zarr", ends_mask[:, :, :20], spacing=Spacing(16.0, 16.0, 16.0))
    arguments: dict[str, Any] = {"flows": path, "foreground": mask, "block": (16, 32, 40), "cluster": "serial"}
    plain = bigcell.segment(output=tmp_path / "plain.zarr", **arguments)
    assert plain.counts["skipped"] > 3
    total = sum(stage["tasks"] for stage in plain.stages.values())
    for cut in (1, total // 3, total // 2, total - 2):
        out = tmp_path / f"{cut}.zarr"
        with monkeypatch.context() as patch:
            patch.setattr(api, "choose_executor", lambda *_, cut=cut: Stopping(cut))
            with pytest.raises(KeyboardInterrupt):
                bigcell.segment(output=out, **arguments)
        moved = mask.rename(tmp_path / "away.zarr")
        resumed = bigcell.resume(out, cluster="serial")
        moved.rename(mask)
        assert files_of(resumed.path) == files_of(plain.path)
        assert sum(stage["run"] for stage in resumed.stages.values()) <= total - cut
    work = tmp_path / "lost.zarr.bigcell" / "cells"
    with monkeypatch.context() as patch:
        patch.setattr(api, "choose_executor", lambda *_: Stopping(2))
        with pytest.raises(KeyboardInterrupt):
            bigcell.segment(output=tmp_path / "lost.zarr", **arguments)
    next(work.rglob(f"{ENTRY}.arrays")).unlink()
    monkeypatch.setattr("bigcell.engine.planning.foreground_note._held", {})
    with pytest.raises(PlanError, match="start over"):
        bigcell.resume(tmp_path / "lost.zarr", cluster="serial")


def test_rerun_wants_the_same_mask(tmp_path: Path, flow_store: Path) -> None:
    cells = np.zeros((36, 60, 68), np.uint8)
    cells[:, :30, :40] = 1
    mask = write_image(tmp_path / "mask.zarr", cells, spacing=Spacing(0.5, 0.5, 0.5))
    first = bigcell.segment(flows=flow_store, foreground=mask, output=tmp_path / "one.zarr", cluster="serial")
    again = bigcell.rerun(first.path, output=tmp_path / "two.zarr", cluster="serial")
    assert files_of(first.path) == files_of(again.path)
    write_image(mask, cells[:, ::-1], spacing=Spacing(0.5, 0.5, 0.5), overwrite=True)
    with pytest.raises(PlanError, match="not the one that was planned"):
        bigcell.rerun(first.path, output=tmp_path / "three.zarr", cluster="serial")
    held = bigcell.segment(flows=flow_store, foreground=cells, output=tmp_path / "four.zarr", cluster="serial")
    with pytest.raises(PlanError, match="in memory, which is gone"):
        bigcell.rerun(held.path, output=tmp_path / "five.zarr", cluster="serial")


@pytest.mark.parametrize("by", ["volume", "plane"])
@pytest.mark.parametrize("block", [(20, 64, 64), (7, 20, 33)])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_percentiles_are_those_of_the_foreground(by: str, block: Zyx, dtype: str) -> None:
    image = np.random.default_rng(1).integers(0, 5000, (20, 64, 64)).astype(dtype)
    cells = np.zeros((5, 4, 4), bool)
    cells[1, :2, 1] = cells[4, 3, 3] = True
    found = Foreground(cells, (4, 16, 16), (20, 64, 64))
    normalize = NormalizeSettings(norm3D=by == "volume", percentile=(3.0, 90.0))
    plan = make_plan(Request(block=block, normalize=normalize, diameter=17), ArrayVolume(image), None)
    scratch = MemoryScratch()
    scratch.save(ENTRY, found.arrays())
    plan = replace(plan, foreground=foreground_mask.note_of(plan, found, {}))
    run = Run(Job(plan, ArrayVolume(image), None, scratch))
    measure(run)
    held = scratch.load("levels/0")
    inside = found.mask(Box.of(found.extent))
    if by == "volume":
        wanted = np.percentile(image[inside].astype(np.float64), (3, 90))
        assert [held["low"].item(), held["high"].item()] == pytest.approx(wanted, rel=1e-6)
        return
    nearest = [4] * 4 + [4, 5, 6, 7] + [7] * 4 + [16] * 4 + [16, 17, 18, 19]
    for z, of in enumerate(nearest):
        wanted = np.percentile(image[of][inside[of]].astype(np.float64), (3, 90))
        assert [held["low"][0, z, 0, 0], held["high"][0, z, 0, 0]] == pytest.approx(wanted, rel=1e-6)


def test_the_network_runs_only_where_it_is_seen(long_image: Path, tmp_path: Path) -> None:
    mask = np.zeros((1, 2, 16), np.uint8)
    mask[:, :, :4] = 1
    arguments: dict[str, Any] = {"model": "cyto", "diameter": 15, "tile": 32, "cluster": "serial"}
    as_for_flows = {"min_size": 15, "flow_threshold_3d": 0}
    fixed = {**arguments, "lowhigh": (50.0, 900.0), **as_for_flows}
    seen = []
    for block in ((6, 32, 256), (4, 20, 30)):
        out = tmp_path / f"{block[0]}.zarr"
        seen.append(bigcell.segment(long_image, output=out, foreground=mask, block=block, **fixed))
    assert files_of(seen[0].path) == files_of(seen[1].path)
    plan = plan_of(seen[1])
    assert plan.foreground is not None
    assert seen[0].counts["tiles"] == seen[1].counts["tiles"] == plan.foreground.tiles < 0.6 * plan.lattice.tiles
    kept = tmp_path / "kept.zarr"
    bigcell.segment(long_image, output=tmp_path / "all.zarr", keep_flows=kept, **fixed)
    plain = bigcell.segment(flows=kept, output=tmp_path / "plain.zarr", foreground=mask, cluster="serial")
    assert plain.objects == seen[0].objects > 3
    assert np.array_equal(voxels_of(plain), voxels_of(seen[0]))
    measured = [
        bigcell.segment(long_image, output=tmp_path / f"m{n}.zarr", foreground=mask, block=(6, 32, n), **arguments)
        for n in (256, 40)
    ]
    assert files_of(measured[0].path) == files_of(measured[1].path)
    assert measured[1].stages["statistics"]["tasks"] == 2


def test_smoothed_flows_reach_over_the_edge_of_the_foreground(long_image: Path, tmp_path: Path) -> None:
    mask = np.zeros((1, 2, 16), np.uint8)
    mask[:, :, 3:6] = 1
    smooth: dict[str, Any] = {
        "model": "cyto", "diameter": 15, "tile": 32, "cluster": "serial", "lowhigh": (50.0, 900.0),
        "flow3D_smooth": (0.5, 2.0, 2.0), "min_size": 15, "flow_threshold_3d": 0,
    }  # fmt: skip
    kept = tmp_path / "kept.zarr"
    bigcell.segment(long_image, output=tmp_path / "all.zarr", keep_flows=kept, **smooth)
    plain = bigcell.segment(flows=kept, output=tmp_path / "plain.zarr", foreground=mask, cluster="serial")
    found = bigcell.segment(long_image, output=tmp_path / "f.zarr", foreground=mask, block=(6, 32, 50), **smooth)
    assert np.array_equal(voxels_of(plain), voxels_of(found))
    assert found.objects > 1


def test_flows_that_are_kept_stay_background_outside(flat_image: Path, tmp_path: Path) -> None:
    mask = np.zeros((1, 3, 22), np.uint8)
    mask[:, :, :4] = 1
    arguments: dict[str, Any] = {
        "model": "cyto", "diameter": 15, "tile": 32, "cluster": "serial", "foreground": mask,
    }  # fmt: skip
    bigcell.segment(flat_image, output=tmp_path / "one.zarr", keep_flows=tmp_path / "kept.zarr", **arguments)
    again = bigcell.masks(tmp_path / "kept.zarr", output=tmp_path / "two.zarr", cellprob_threshold=-6, cluster="serial")
    strict = bigcell.segment(flat_image, output=tmp_path / "three.zarr", cellprob_threshold=-6, **arguments)
    assert np.array_equal(voxels_of(again), voxels_of(strict))
    assert not voxels_of(again)[..., 64:].any()


def test_a_block_is_lively_if_a_path_may_end_in_it() -> None:
    found = Foreground(np.array([[[True] + [False] * 9]]), (1, 16, 16), (1, 16, 160))
    assert is_active(found, Box((0, 0, 16 + 34), (1, 16, 60)))
    assert not is_active(found, Box((0, 0, 16 + 35), (1, 16, 60)))
