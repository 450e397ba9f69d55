"""Cleaning block by block equals cleaning the whole array at once, for any blocks and any labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_fill_holes

import bigcell
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.volume import ArrayVolume
from bigcell.dynamics.window import integer_flows
from bigcell.engine.pipeline.in_memory import segment_in_memory
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import RunSettings
from bigcell.engine.tasks import label_windows
from bigcell.flows.compare import flow_errors
from bigcell.stitch.clean import CleanSettings, claims
from bigcell.stitch.number import SizeSettings
from bigcell.stitch.pieces import Pieces
from bigcell.testing.files import files_of
from bigcell.testing.flows import FlowLattice

Zyx = tuple[int, int, int]
Finish = Callable[[np.ndarray, np.ndarray, Plan], tuple[np.ndarray, Pieces, list[str]]]


def plan_of(extent: Zyx, block: Zyx, clean: CleanSettings, min_size: int = 0) -> Plan:
    run = RunSettings(block, sizes=SizeSettings(min_size), clean=clean)
    return Plan(extent, Spacing(), ("dz", "dy", "dx", "cellprob"), "float32", run, flows={"source": "test"})


def plain(labels: np.ndarray, flows: np.ndarray, plan: Plan) -> np.ndarray:
    """The definition, on the whole array: misfits go, small ones go, holes are claimed plane by plane, 1..n."""
    names, dense = np.unique(np.append(labels, 0), return_inverse=True)
    dense = dense[:-1].reshape(labels.shape).astype(np.int32)
    stays = np.bincount(dense.ravel(), minlength=len(names)) >= max(1, plan.settings.sizes.min_size)
    if plan.flow_threshold:
        fits = flow_errors(dense, integer_flows(flows)[:3]) <= plan.flow_threshold
        inner = np.pad(dense[1:-1, 1:-1, 1:-1], 1)
        cut = np.unique(dense[dense != inner]) if not plan.is_flat else np.zeros(0, int)
        fits[cut[cut > 0] - 1] = True
        stays[1 : dense.max() + 1] &= fits
    stays[0] = False
    kept = np.where(stays[dense], dense, 0)
    final = kept.copy()
    for z, plane in enumerate(kept if plan.settings.clean.fill_holes else []):
        for name in np.unique(plane[plane > 0]):
            own = plane == name
            final[z][claims(plane, int(name), binary_fill_holes(own) & ~own)] = name
    return np.cumsum(stays)[final] * (final > 0)


def scene(extent: Zyx, seed: int) -> np.ndarray:
    """Rings, discs, rings in rings, pieces that are apart and dust, named by sinks that lie anywhere."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(extent, np.int64)
    z, y, x = np.indices(extent)
    names = 1 + rng.permutation(labels.size)[:24]
    for i in range(16):
        centre = [rng.integers(-2, n + 2) for n in extent]
        r2 = (z - centre[0]) ** 2 * 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 * rng.uniform(0.4, 2)
        outer = rng.uniform(2, max(4, min(extent[1:]) / 1.5))
        ring = (r2 <= outer**2) & (r2 >= (outer * rng.choice([0, 0.4, 0.7, 0.8])) ** 2)
        labels[ring] = names[min(i, 16 - rng.integers(0, 4))]
    dust = rng.random(extent) < 0.03
    labels[dust] = rng.choice(np.append(names, 0), int(dust.sum()))
    return labels


flat = st.tuples(st.just(1), st.integers(12, 50), st.integers(12, 50))
solid = st.tuples(st.integers(2, 12), st.integers(10, 30), st.integers(10, 30))


@settings(max_examples=60)
@given(
    extent=st.one_of(flat, solid),
    block=st.tuples(st.integers(1, 12), st.integers(3, 30), st.integers(3, 30)),
    clean=st.builds(CleanSettings, st.booleans(), st.sampled_from([0.0, 1.9]), st.sampled_from([0.0, 2.0])),
    seed=st.integers(0, 10**6),
)
def test_blockwise_equals_the_whole(finish: Finish, extent: Zyx, block: Zyx, clean: CleanSettings, seed: int) -> None:
    labels = scene(extent, seed)
    flows = np.random.default_rng(seed).normal(0, 3, (4, *extent)).astype(np.float32)
    plan = plan_of(extent, block, clean, min_size=4)
    found, rows, _ = finish(labels, flows, plan)
    wanted = plain(labels, flows, plan)
    assert np.array_equal(found, wanted)
    for i in range(1, len(rows) + 1):
        where = np.argwhere(wanted == i)
        assert rows.voxels[i - 1] == len(where)
        assert rows.total[i - 1].tolist() == where.sum(0).tolist()
        assert [rows.low[i - 1].tolist(), rows.high[i - 1].tolist()] == [
            where.min(0).tolist(),
            (where.max(0) + 1).tolist(),
        ]


def test_windows_of_any_size_see_the_same(finish: Finish, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = scene((9, 40, 40), 5)
    flows = np.random.default_rng(5).normal(0, 3, (4, 9, 40, 40)).astype(np.float32)
    plan = plan_of((9, 40, 40), (9, 16, 40), CleanSettings(True, 0.4, 2.0))
    wanted = finish(labels, flows, plan)[0]
    monkeypatch.setattr(label_windows, "PLANES_PER_READ", 2)
    monkeypatch.setattr(label_windows, "TILE", {True: 8, False: 8})
    monkeypatch.setattr(label_windows, "ALONE", 300)
    monkeypatch.setattr(label_windows, "TABLES", 1)
    assert np.array_equal(finish(labels, flows, plan)[0], wanted)


def test_a_hole_over_eight_blocks_is_filled(finish: Finish) -> None:
    labels = np.zeros((6, 20, 20), np.int64)
    labels[:, 1:19, 1:19] = 7
    labels[:, 3:17, 3:17] = 0
    flows = np.zeros((4, 6, 20, 20), np.float32)
    found, rows, _ = finish(labels, flows, plan_of((6, 20, 20), (3, 10, 10), CleanSettings()))
    assert (found[:, 1:19, 1:19] == 1).all()
    assert rows.voxels.tolist() == [6 * 18 * 18]


def test_a_cell_in_a_hole_stays_and_a_dropped_one_is_filled_over(finish: Finish) -> None:
    labels = np.zeros((1, 20, 20), np.int64)
    labels[:, 1:19, 1:19] = 9
    labels[:, 3:17, 3:17] = 0
    labels[:, 5:8, 5:8] = 4
    labels[:, 12, 12] = 30
    plan = plan_of((1, 20, 20), (1, 7, 6), CleanSettings(flow_threshold=0), min_size=4)
    found, rows, _ = finish(labels, np.zeros((4, 1, 20, 20), np.float32), plan)
    assert (found[0, 5:8, 5:8] == 1).all()
    assert found[0, 12, 12] == 2
    assert rows.voxels.tolist() == [9, 18 * 18 - 9]


def test_objects_beyond_the_limit_are_left_as_they_are_and_told(
    finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bigcell.engine.tasks import clean

    monkeypatch.setattr(clean, "CLEAN_LIMIT", 100)
    labels = np.zeros((1, 20, 20), np.int64)
    labels[:, :12, :12] = 5
    labels[:, 4, 4] = 0
    labels[:, 13:18, 13:18] = 8
    labels[:, 15, 15] = 0
    flows = np.zeros((4, 1, 20, 20), np.float32)
    found, _, told = finish(labels, flows, plan_of((1, 20, 20), (1, 9, 9), CleanSettings(flow_threshold=1.5)))
    assert found[0, 4, 4] == 0
    assert found[0, 15, 15] == found[0, 14, 14] == 2
    assert len(told) == 2
    assert all(text.startswith("1 objects of more than") for text in told)


@pytest.mark.parametrize(("noise", "least", "most"), [(0.0, 0.75, 1.0), (1.2, 0.0, 0.5)])
def test_misfits_go_in_a_plane(noise: float, least: float, most: float) -> None:
    """Flows that lead straight to the centre are nearly those of a whole round cell; noise is not."""
    extent = (1, 80, 80)
    flows = ArrayVolume(FlowLattice(extent, diameter=12, noise=noise, fill=0.45).read(Box.of(extent)))
    on = segment_in_memory(plan_of(extent, (1, 33, 80), CleanSettings(flow_threshold=0.5), 15), None, flows)
    off = segment_in_memory(plan_of(extent, (1, 33, 80), CleanSettings(flow_threshold=0), 15), None, flows)
    assert least <= on.objects / off.objects <= most


def test_options_reach_the_labels(tmp_path: Path, store: Callable[..., Path]) -> None:
    flows = FlowLattice((1, 70, 70), diameter=12, noise=1.2).read(Box.of((1, 70, 70)))
    path = store(tmp_path / "f.zarr", flows)
    seen = {}
    for cluster, block in (("serial", (1, 70, 70)), ("processes", (1, 30, 41)), ("local", (1, 30, 70))):
        out = tmp_path / f"{cluster}.zarr"
        result = bigcell.segment(
            flows=path, output=out, block=block, cluster=cluster, workers=2, flow_threshold=1.0, fill_holes=True
        )
        assert result.path is not None
        seen[cluster] = files_of(result.path / "objects.parquet")
        assert result.counts["unfit"] > 0
    assert all(files == seen["serial"] for files in seen.values())
    strict = bigcell.segment(flows=flows, flow_threshold=0.2)
    loose = bigcell.segment(flows=flows, flow_threshold=0)
    assert strict.objects < loose.objects
