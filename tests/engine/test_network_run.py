"""The network in the loop: seams, and each tile run once, with a real (small) network on an OME-Zarr image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

import bigcell
from bigcell.core.axes import Spacing
from bigcell.core.errors import InputError, ModelError, SettingsError
from bigcell.core.volume import ArrayVolume
from bigcell.engine.planning.plan import Plan
from bigcell.engine.runs.ended import read_record
from bigcell.metrics.matching import compare
from bigcell.networks.cpnet import CPnet
from bigcell.synthetic import sample_volume


@pytest.fixture
def image_store(tmp_path: Path, store) -> Path:
    made = sample_volume((18, 46, 54), diameter=16, seed=3)
    return store(tmp_path / "image.zarr", made.image, spacing=0.5)


def voxels_of(result: bigcell.Result) -> np.ndarray:
    assert result.path is not None
    return np.asarray(zarr.open_array(result.path / "0", mode="r")[...])


@pytest.mark.parametrize("diameter", [17.0, 14.0])
def test_blocks_and_executors_give_the_same_labels(tmp_path: Path, image_store: Path, diameter: float) -> None:
    runs = [((18, 46, 54), "serial"), ((11, 30, 32), "serial"), ((18, 20, 54), "processes")]
    seen = []
    for i, (block, cluster) in enumerate(runs):
        seen.append(
            bigcell.segment(
                image_store, model="cyto", diameter=diameter, tile=48, block=block, cluster=cluster,
                workers=2, output=tmp_path / f"{i}.zarr",
            )
        )  # fmt: skip
    whole = voxels_of(seen[0])
    assert seen[0].objects > 8
    for other in seen[1:]:
        assert np.array_equal(voxels_of(other), whole)


@pytest.mark.parametrize("block", [(18, 46, 54), (10, 20, 20)])
def test_each_tile_runs_once(tmp_path: Path, image_store: Path, block: tuple[int, int, int]) -> None:
    result = bigcell.segment(image_store, tile=48, block=block, cluster="serial", output=tmp_path / "out.zarr")
    plan = Plan.from_json(read_record(result.path).plan)
    assert result.counts["tiles"] == plan.lattice.tiles
    share = [plan.lattice.input_voxels(v) / np.prod(plan.lattice.extent) for v in plan.lattice.views]
    assert max(share) < 3.8  # tiles of 48 with their margins, over 18 planes padded to 32, and 8 voxels past edges


# Without instructions for it a network in bfloat16 takes minutes, and nothing takes it on its own account.
needs_bfloat16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="oneDNN has no bfloat16 on this machine"
)


@pytest.mark.parametrize(
    ("top", "precision"),
    [(None, "float32"), (32, "float32"), pytest.param(32, "bfloat16", marks=needs_bfloat16)],
)
def test_a_worker_with_a_network_holds_what_the_plan_said(
    tmp_path: Path, store, top: int | None, precision: str
) -> None:
    made = sample_volume((12, 80, 200), diameter=17, seed=4)
    path = store(tmp_path / "image.zarr", made.image, spacing=0.5)
    arguments = {"diameter": 17, "block": (12, 80, 100), "workers": 2, "precision": precision}
    if top is not None:
        network = CPnet((2, top, 2 * top, 4 * top, 8 * top), diam_mean=17.0)
        torch.save(network.state_dict(), tmp_path / "model.pt")
        arguments["model"] = str(tmp_path / "model.pt")
    planned = bigcell.plan(path, **arguments).budget
    for name in ("first", "second"):  # the first fills numba's cache: what compiling takes is not in the plan
        result = bigcell.segment(path, cluster="local", labels=name, **arguments)
    assert planned is not None
    peak = result.stages["predict_flows"]["peak_bytes"]
    assert 0.7 < peak / planned.worker < 1.3


def test_in_memory_equals_blockwise(tmp_path: Path, image_store: Path) -> None:
    on_disk = bigcell.segment(image_store, tile=48, block=(11, 30, 32), cluster="serial", output=tmp_path / "o.zarr")
    image = np.asarray(zarr.open_array(image_store / "0", mode="r")[...])
    volume = ArrayVolume(image, Spacing(0.5, 0.5, 0.5))
    assert np.array_equal(bigcell.segment(volume, tile=48).labels, voxels_of(on_disk))


def test_cyto_finds_synthetic_cells() -> None:
    made = sample_volume((12, 72, 72), diameter=15, spacing=(2.0, 1.0, 1.0), seed=5)
    result = bigcell.segment(ArrayVolume(made.image, made.spacing), model="cyto", diameter=15)
    found = compare(made.labels, result.labels)
    assert found.f1 > 0.85
    assert result.table is not None
    assert len(result.table["id"]) == result.objects


def test_a_plane_is_segmented_as_one() -> None:
    made = sample_volume((1, 96, 96), diameter=16, seed=2)
    result = bigcell.segment(ArrayVolume(made.image, made.spacing), model="cyto", diameter=16)
    assert result.labels.shape == (96, 96)
    assert compare(made.labels[0], result.labels).f1 > 0.8


def test_too_many_channels_ask_for_a_choice(tmp_path: Path, store) -> None:
    path = store(tmp_path / "three.zarr", np.random.default_rng(0).integers(0, 99, (3, 8, 32, 32)).astype(np.uint16))
    with pytest.raises(InputError, match="choose what to segment"):
        bigcell.segment(path)


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'diameter'"):
        bigcell.segment(np.zeros((8, 8)), diamter=3)  # type: ignore[call-arg]


def test_a_diameter_in_um_needs_a_voxel_size() -> None:
    with pytest.raises(SettingsError, match="does not say its voxel size"):
        bigcell.segment(np.random.default_rng(0).random((8, 8)), diameter="8um")


def test_a_model_that_is_none() -> None:
    with pytest.raises(ModelError, match="neither a model"):
        bigcell.segment(np.random.default_rng(0).random((8, 8)), model="cyto9")


def test_a_plane_of_a_stack_is_segmented_as_it_is_alone() -> None:
    """Long voxels along z once made the flows of planes short, and the flow check then dropped right cells."""
    made = sample_volume((3, 60, 64), diameter=13, seed=3)
    stack = bigcell.segment(made.image, model="cyto", diameter=13, do_3D=False, precision="float32").labels
    assert stack is not None
    for z, plane in enumerate(stack):
        alone = bigcell.segment(made.image[:, z : z + 1], model="cyto", diameter=13, precision="float32")
        assert alone.labels is not None
        assert len(np.unique(plane)) - 1 == alone.objects > 10
        assert np.array_equal(plane > 0, alone.labels > 0)
