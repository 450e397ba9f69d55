"""Options about tiles, views, flips, smoothing, arithmetic and a second network: the same labels for any blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from typer.testing import CliRunner

import bigcell
from bigcell.cli.app import app
from bigcell.core.axes import Spacing
from bigcell.core.errors import ModelError, SettingsError
from bigcell.core.volume import ArrayVolume
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.request import Request
from bigcell.engine.runs.ended import read_record
from bigcell.engine.tasks.predict import loaded_model
from bigcell.networks.registry import BUNDLED, load_model
from bigcell.synthetic import sample_volume

EXTENT = (8, 28, 42)
OPTIONS: dict[str, dict[str, Any]] = {
    "sum": {"views": "sum"},
    "weights": {"view_weights": (2, 0, 1)},
    "augment": {"augment": True, "precision": "float32"},
    "cellpose-tiles": {"tile_layout": "cellpose", "views": "sum", "augment": True},
    "smooth": {"flow3D_smooth": (1.5, 0.8, 0.8)},
    "bfloat16": {"precision": "bfloat16"},
}


@pytest.fixture(scope="module")
def made() -> ArrayVolume:
    return sample_volume(EXTENT, diameter=13, seed=3)


@pytest.fixture
def image_store(tmp_path: Path, store, made) -> Path:  # type: ignore[no-untyped-def]
    return store(tmp_path / "image.zarr", made.image, spacing=0.5)  # type: ignore[no-any-return]


@pytest.fixture
def ortho(tmp_path: Path) -> Path:
    """A model with other weights at its end: flows of half the length."""
    state = {k: v.clone() for k, v in load_model("cyto").network.state_dict().items()}
    state["output.2.weight"][:2] *= 0.5
    torch.save(state, tmp_path / "ortho.pt")
    return tmp_path / "ortho.pt"


def segmented(image: Path, output: Path, **options: Any) -> np.ndarray:
    result = bigcell.segment(image, model="cyto", diameter=13, tile=32, cluster="serial", output=output, **options)
    assert result.path is not None
    return np.asarray(zarr.open_array(result.path / "0", mode="r")[...])


@pytest.mark.parametrize("name", OPTIONS)
def test_blocks_leave_no_trace(tmp_path: Path, image_store: Path, name: str) -> None:
    whole = segmented(image_store, tmp_path / "whole.zarr", block=EXTENT, **OPTIONS[name])
    parts = segmented(image_store, tmp_path / "parts.zarr", block=(5, 28, 20), **OPTIONS[name])
    assert whole.max() > 2
    assert np.array_equal(whole, parts)


def test_a_second_network_sees_the_other_views(tmp_path: Path, image_store: Path, ortho: Path) -> None:
    one = segmented(image_store, tmp_path / "one.zarr")
    two = segmented(image_store, tmp_path / "two.zarr", model_ortho=str(ortho), block=(5, 28, 20))
    assert np.array_equal(two, segmented(image_store, tmp_path / "again.zarr", model_ortho=str(ortho)))
    assert not np.array_equal(one, two)
    (record,) = (tmp_path / "two.zarr").glob("**/record.json")
    plan = Plan.from_json(read_record(record).plan)
    assert (plan.model, plan.model_ortho) == ("cyto", str(ortho))
    assert plan.model_ortho_sha256 == load_model(ortho).sha256 != plan.model_sha256


def test_another_second_network_than_planned_is_refused(tmp_path: Path, image_store: Path, ortho: Path) -> None:
    result = bigcell.segment(image_store, model="cyto", diameter=13, tile=32, cluster="serial", model_ortho=str(ortho))
    state = load_model("cyto").network.state_dict()
    torch.save(state, ortho)
    loaded_model.cache_clear()  # as in a new process
    with pytest.raises(ModelError, match="put the planned weights back"):
        bigcell.rerun(result.path, output=tmp_path / "again.zarr")


def test_networks_that_do_not_go_together_are_refused(tmp_path: Path, made) -> None:  # type: ignore[no-untyped-def]
    state = {k: v.clone() for k, v in load_model("cyto").network.state_dict().items()}
    state["diam_mean"] += 13
    torch.save(state, tmp_path / "ortho.pt")
    with pytest.raises(ModelError, match=r"diameter 30.0, model .nuclei. has 17.0"):
        bigcell.plan(made.image, model_ortho=str(tmp_path / "ortho.pt"))


def test_smoothing_also_acts_on_given_flows() -> None:
    flows = np.random.default_rng(0).normal(0, 5, (4, 6, 20, 20)).astype(np.float32)
    rough, even = (bigcell.segment(flows=flows, flow3D_smooth=s, min_size=0).objects for s in (0, 2))
    assert even < rough


def test_settings_of_a_plan_are_resolved(made, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    volume = ArrayVolume(made.image, Spacing(0.5, 0.5, 0.5))
    plan = make_plan(Request(flow3D_smooth=2, augment=True, tile_layout="cellpose"), volume, None)
    assert plan.settings.flows.smooth == (2.0, 2.0, 2.0)
    assert plan.settings.tiles.overlap == 0.1
    assert plan.settings.tiles.mirrored
    assert plan.settings.flows.precision == ("bfloat16" if torch.cuda.is_available() else "float32")
    assert Plan.from_json(plan.to_json()) == plan


def test_the_plan_says_what_is_not_the_plain_way(image_store: Path) -> None:
    options = ["--views", "sum", "--view-weights", "2,1,1", "--augment", "--flow3d-smooth", "1", "--tile", "32"]
    told = CliRunner().invoke(app, ["plan", str(image_store), "--diameter", "13", "--precision", "float32", *options])
    assert told.exit_code == 0, told.output
    for part in ("float32, views summed with weights 2, 1, 1", "every tile in 4 flips", "smoothed by 1, 1, 1 voxels"):
        assert part in told.output


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"tile": 100}, "multiple of 16"),
        ({"tile_layout": "odd"}, "'even' or 'cellpose'"),
        ({"views": "max"}, "'average' or 'sum'"),
        ({"view_weights": (1, 2)}, "one number or three"),
        ({"flow3D_smooth": "much"}, "one number or three"),
        ({"precision": "float64"}, "'auto', 'float32' or 'bfloat16'"),
    ],
)
def test_wrong_options_say_what_is_wanted(made, option: dict[str, Any], says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SettingsError, match=says):
        bigcell.plan(made.image, **option)


def test_a_model_with_a_tile_of_its_own_takes_no_other(made, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    from dataclasses import replace

    model = replace(load_model("cyto"), tile=64, resizable=False)
    monkeypatch.setattr("bigcell.networks.registry.load_model", lambda name: model)
    assert "nuclei" in BUNDLED
    plan = make_plan(Request(precision="float32"), ArrayVolume(made.image), None)
    assert {a.size for a in plan.lattice.axes} == {64}
    with pytest.raises(SettingsError, match="tiles of 64 pixels and no others"):
        make_plan(Request(tile=32), ArrayVolume(made.image), None)
