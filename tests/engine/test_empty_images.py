"""Images that show nothing, that are NaN in part, or were lit wrongly: labels and a notice, not an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ome_zarr_models import open_ome_zarr
from typer.testing import CliRunner

import bigcell
from bigcell.cli.app import app
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.engine.pipeline.diameter import find_diameter
from bigcell.engine.pipeline.in_memory import segment_in_memory
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.request import Request
from bigcell.engine.runtime.events import Notice
from bigcell.io.formats.arrays import as_volume
from bigcell.io.tables import COLUMNS, read_objects
from bigcell.testing.flows import FlowLattice

SHAPE = (2, 40, 44)
EMPTY = "the image holds nothing to segment: there are no cells, and the labels are empty"


def segmented(image: Any, **options: Any) -> tuple[np.ndarray, list[str]]:
    """The labels, and what was told."""
    told: list[Any] = []
    result = bigcell.segment(image, listener=told.append, **{"diameter": 16, "anisotropy": 1, "tile": 48, **options})
    assert result.labels is not None
    return result.labels, [event.text for event in told if isinstance(event, Notice)]


def cell(dtype: str = "f4") -> np.ndarray:
    """A bright cube in noise."""
    image = np.random.default_rng(0).integers(100, 140, SHAPE)
    image[:, 12:28, 14:30] = 1000
    return image.astype(dtype)


NOTHING: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "zeros": (np.zeros(SHAPE, np.uint16), {}),
    "full": (np.full(SHAPE, 65535, np.uint16), {}),
    "negative": (np.full(SHAPE, -5, np.int8), {}),
    "bool": (np.zeros(SHAPE, bool), {}),
    "float": (np.full(SHAPE, 0.3, np.float32), {}),
    "plane": (np.zeros(SHAPE[1:], np.uint8), {}),
    "two channels": (np.stack([np.full(SHAPE, 7), np.full(SHAPE, 9)]), {}),
    "grey": (np.stack([np.full(SHAPE, 7), np.full(SHAPE, 9)]), {"channels": ["grey"]}),
    "planes of their own": (np.arange(2).repeat(40 * 44).reshape(SHAPE), {"do_3D": False}),
    "tiles": (np.full(SHAPE, 7), {"tile_norm_blocksize": 16}),
    "inverted": (np.full(SHAPE, 7), {"invert": True}),
    "linked": (np.full(SHAPE, 7), {"stitch_threshold": 0.3}),
    "any logit": (np.full(SHAPE, 7), {"cellprob_threshold": -6, "min_size": 0}),
    "foreground": (np.full(SHAPE, 7), {"foreground": np.ones(SHAPE, bool)}),
    "diameter looked for": (np.full(SHAPE, 7), {"diameter": "auto"}),
    "blocks": (np.full(SHAPE, 7), {"block": (1, 24, 24)}),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_is_the_same_all_over_has_no_cells(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("a network may find anything in nothing")

    if name != "diameter looked for":
        monkeypatch.setattr("bigcell.flows.predict.predict_cube", never)
    image, options = NOTHING[name]
    labels, told = segmented(image, **options)
    assert labels.shape == image.shape[-labels.ndim :]
    assert not labels.any()
    assert EMPTY in told


def test_no_diameter_is_looked_for_where_nothing_is() -> None:
    found = find_diameter(as_volume(np.full(SHAPE, 7)), 17.0, lambda planes, _: np.zeros(planes.extent, np.uint32))
    assert found.diameter == 17
    assert "show nothing" in found.found
    with pytest.raises(InputError, match="no cell was found"):
        find_diameter(as_volume(cell()), 17.0, lambda planes, _: np.zeros(planes.extent, np.uint32))


def test_it_is_said_where_no_object_fits_its_flows() -> None:
    flows = FlowLattice((4, 40, 44), diameter=12, noise=0.5, seed=1, fill=0.7).read(Box.of((4, 40, 44)))

    def told(threshold: float) -> tuple[int, list[str]]:
        events: list[Any] = []
        found = bigcell.segment(flows=flows, do_3D=False, listener=events.append, flow_threshold=threshold)
        return found.objects, [e.text for e in events if isinstance(e, Notice) and "flow error" in e.text]

    count, notices = told(1e-9)
    assert count == 0
    (text,) = notices
    assert text.startswith("objects found: ")
    assert text.endswith("keep the objects with --flow-threshold 0")
    for threshold in (0.0, 10.0):
        count, notices = told(threshold)
        assert count > 0
        assert not notices


def test_nothing_is_found_slab_by_slab() -> None:
    volume = as_volume(np.full((4, 40, 44), 7))
    plan = make_plan(Request(diameter=16, block=(1, 24, 24), flow_threshold_3d=0.4), volume, None)
    assert plan.budget is not None
    assert segment_in_memory(replace(plan, budget=replace(plan.budget, slab=1)), volume, None).objects == 0


def test_an_empty_well_of_a_plate_gets_its_labels(tmp_path: Path, store: Callable[..., Path]) -> None:
    path = store(tmp_path / "i.zarr", np.full((1, 2, 40, 44), 9, np.uint16))
    words = ["--diameter", "16", "--cluster", "serial", "--block", "1,24,44", "--keep-flows"]
    run = CliRunner().invoke(app, ["segment", str(path), *words, str(tmp_path / "f.zarr")])
    assert run.exit_code == 0, run.output
    assert EMPTY in run.stderr
    labels = path / "labels" / "cells"
    open_ome_zarr(labels, version="0.5")
    assert not np.asarray(zarr.open_group(labels, mode="r")["0"]).any()
    table = read_objects(labels / "objects.parquet")
    assert set(table) == set(COLUMNS)
    assert not len(table["id"])
    again = bigcell.masks(tmp_path / "f.zarr", labels="low", cellprob_threshold=-6, min_size=0, cluster="serial")
    assert again.objects == 0


@pytest.mark.parametrize("options", [{"fill_nan": 120}, {"normalize": {"percentile": (2, 98), "fill_nan": 120}}])
def test_nan_counts_as_what_is_said(options: dict[str, Any]) -> None:
    image = cell()
    image[:, :, :9] = np.nan
    image[0, 30, 30] = np.nan
    labels, told = segmented(image, **options, block=(1, 24, 24))
    assert labels.any()
    assert not labels[:, :, :9].any()
    assert f"{2 * 40 * 9 + 1} voxels are NaN and count as 120" in told


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_nan_of_any_float_is_counted_once_for_all_channels(dtype: str) -> None:
    image = np.stack([cell(dtype), cell(dtype)])
    image[0, :, :, :3] = image[1, :, :, 2:4] = np.nan
    _, told = segmented(image, fill_nan=100, model="cyto")
    assert f"{2 * 40 * 4} voxels are NaN and count as 100" in told
    with pytest.raises(InputError, match=r"found nan .* give --fill-nan 0"):
        segmented(image, model="cyto")


def test_infinity_is_no_nan() -> None:
    image = cell()
    image[0, 3, 4] = np.inf
    with pytest.raises(InputError, match="found inf") as refused:
        segmented(image, fill_nan=0)
    assert "--fill-nan" not in str(refused.value)


@pytest.mark.parametrize("value", ["0", float("nan"), float("inf"), 1e39, True])
def test_nan_counts_as_a_number(value: Any) -> None:
    with pytest.raises(SettingsError, match=r"^fill_nan"):
        bigcell.plan(cell(), fill_nan=value)


def test_nothing_is_said_where_nothing_is_nan() -> None:
    _, told = segmented(cell(), fill_nan=0)
    assert not [text for text in told if "NaN" in text]
    labels, _ = segmented(cell("u2"), fill_nan=0)
    assert labels.any()


def test_the_command_line_fills_and_the_plan_says_so(tmp_path: Path, store: Callable[..., Path]) -> None:
    image = cell()
    image[:, :9] = np.nan
    path = store(tmp_path / "i.zarr", image[None])
    words = [str(path), "--diameter", "16", "--fill-nan", "100"]
    assert "NaN counts as 100" in CliRunner().invoke(app, ["plan", *words]).stdout
    run = CliRunner().invoke(app, ["segment", *words, "--cluster", "serial"])
    assert run.exit_code == 0, run.output
    assert f"{2 * 9 * 44} voxels are NaN and count as 100" in run.stderr


def lit(kind: str) -> np.ndarray:
    image = cell()
    if kind.startswith("full"):
        bits = int(kind.split()[1])
        return np.where(image > 500, 2**bits - 1, image * (2**bits / 2**16)).astype(np.uint16)
    return (image / float(kind.split()[1])).astype(np.uint16)


@pytest.mark.parametrize("kind", ["full 16", "full 12", "full 14", "full 10", "dark 100", "dark 80"])
def test_light_that_was_wrong_is_told(kind: str) -> None:
    _, told = segmented(lit(kind))
    wanted = "is saturated" if kind.startswith("full") else "is dark"
    assert len([text for text in told if wanted in text]) == 1


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_light_that_was_right_is_not(dtype: str) -> None:
    image = cell(dtype)
    image[0, 0, 0] = 65535  # a hot pixel
    assert segmented(image)[1] == []
