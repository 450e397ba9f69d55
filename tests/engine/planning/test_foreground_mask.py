"""What says where there is foreground: masks of any resolution, intensities, and those that cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import bigcell
from bigcell import api
from bigcell.cli.app import app
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.engine.pipeline import time_estimate
from bigcell.engine.planning import foreground_mask
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.foreground_mask import with_foreground
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.request import Request
from bigcell.io.ngff.write_image import write_image
from bigcell.preprocess.normalize import NormalizeSettings

Zyx = tuple[int, int, int]


def test_an_intensity_finds_what_is_bright_and_a_diameter_around(tmp_path: Path, store: Callable[..., Path]) -> None:
    image = np.full((1, 1, 128, 640), 10, np.uint16)
    image[0, 0, 60:70, 300:312] = 200
    path = store(tmp_path / "image.zarr", image, levels=3)
    volume = api.open_volume(path)
    plan = make_plan(Request(diameter=20), volume, None)
    planned, found = with_foreground(plan, volume, None, 120.0)
    assert planned.foreground is not None
    assert planned.foreground.source == {"threshold": 120.0, "level": 1}
    bright = Box((0, 60 // 16 * 16, 300 // 16 * 16), (1, 80, 320))
    assert np.array_equal(found.mask(Box.of(found.extent)), _inside(bright.grow((0, 32, 32)), found.extent))
    dark = make_plan(Request(diameter=20, normalize=NormalizeSettings(invert=True)), volume, None)
    assert with_foreground(dark, volume, None, 120.0)[1].voxels == 128 * 640
    part = api.open_volume(path, region=Box((0, 16, 290), (1, 128, 640)))
    _, found = with_foreground(make_plan(Request(diameter=20), part, None), part, None, 120.0)
    assert found.holds(Box((0, 44, 10), (1, 54, 22)))  # the bright ones, from the corner of the region
    assert not found.holds(Box((0, 0, 80), (1, 112, 350)))


def _inside(box: Box, extent: Zyx) -> np.ndarray:
    inside = np.zeros(extent, bool)
    inside[(box & Box.of(extent)).slices] = True
    return inside


def test_an_image_without_a_pyramid_is_looked_at_itself_if_it_is_small(
    long_image: Path, tmp_path: Path, store: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = api.open_volume(long_image).read(Box.of((6, 32, 256)))
    path = store(tmp_path / "flat.zarr", values[0], axes="zyx")
    planned = bigcell.plan(path, diameter=15, foreground=300)
    assert planned.foreground is not None
    assert planned.foreground.source == {"threshold": 300.0, "level": 0}
    memory = bigcell.plan(values[0], diameter=15, foreground=300)
    assert memory.foreground is not None
    assert memory.foreground.sha256 == planned.foreground.sha256
    monkeypatch.setattr(foreground_mask, "MOST_READ", 1000)
    with pytest.raises(InputError, match="give it a pyramid"):
        bigcell.plan(path, diameter=15, foreground=300)
    with pytest.raises(InputError, match="give a coarser one"):
        bigcell.plan(path, diameter=15, foreground=path)


def test_a_mask_may_be_of_any_resolution(tmp_path: Path, long_flows: np.ndarray, store: Callable[..., Path]) -> None:
    """The same field in voxels of 1, 8 and 16, with and without sizes, and as one plane for all."""
    path = store(tmp_path / "flows.zarr", long_flows, spacing=0.5)
    fine = np.zeros((16, 64, 608), np.uint8)
    fine[:, 20:30, 100:200] = 1
    masks = {
        "same": (fine, Spacing(0.5, 0.5, 0.5)),
        "coarse": (fine[::8, 4::8, 4::8], Spacing(4.0, 4.0, 4.0)),
        "plain": (fine[::8, 4::8, 4::8], Spacing(known=False)),
        "plane": (fine[:1, 4::16, 4::16], Spacing(1.0, 8.0, 8.0)),
    }
    found = {}
    for name, (mask, spacing) in masks.items():
        at = write_image(tmp_path / f"{name}.zarr", mask, spacing=spacing)
        found[name] = bigcell.plan(flows=path, foreground=at).foreground
        array = bigcell.plan(flows=path, foreground=mask).foreground
        assert array is not None
        assert found[name] is not None
        assert array.sha256 == found[name].sha256
    assert len({note.sha256 for note in found.values()}) == 1
    assert found["same"].voxels == 16 * 16 * 112


def test_a_mask_of_a_region_lies_where_the_image_does(tmp_path: Path, flow_store: Path) -> None:
    mask = np.zeros((36, 60, 68), np.uint8)
    mask[:, :, 36:52] = 1
    region = Box((0, 4, 20), (36, 60, 68))
    part = bigcell.segment(
        flows=flow_store, foreground=mask, region=region, output=tmp_path / "o.zarr", cluster="serial"
    )
    found = api.open_volume(part.path)
    labels = found.read(found.region)[0]
    assert part.objects > 3
    assert labels[..., 16:32].any()
    assert not labels[..., :16].any()
    assert not labels[..., 32:].any()


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        (np.ones((36, 60, 20)), InputError, "not the same field"),
        (np.zeros((36, 60, 68)), InputError, "zero everywhere"),
        (np.ones((2, 36, 60, 68)), InputError, "2 channels"),
        (120, SettingsError, "no image is given"),
        (True, SettingsError, "wanted an intensity"),
        (float("nan"), SettingsError, "no image is given"),
        ("nowhere.zarr", InputError, "nowhere.zarr"),
    ],
)  # fmt: skip
def test_masks_that_cannot_be(flow_store: Path, wanted: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        bigcell.segment(flows=flow_store, foreground=wanted)


def test_a_mask_of_another_size_in_space(tmp_path: Path, flow_store: Path) -> None:
    mask = write_image(tmp_path / "mask.zarr", np.ones((36, 60, 68), np.uint8), spacing=Spacing(0.7, 0.7, 0.7))
    with pytest.raises(InputError, match="not the same field"):
        bigcell.plan(flows=flow_store, foreground=mask)


def test_intensities_that_cannot_be(long_image: Path) -> None:
    with pytest.raises(SettingsError, match="wanted an intensity"):
        bigcell.plan(long_image, diameter=15, foreground=float("inf"))
    with pytest.raises(InputError, match="is brighter than 1e"):
        bigcell.plan(long_image, diameter=15, foreground=1e9)
    with pytest.raises(SettingsError, match="tile_norm_blocksize"):
        bigcell.plan(long_image, diameter=15, foreground=100, tile_norm_blocksize=20)


def test_the_plan_counts_what_is_done(flat_image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_estimate, "_follow_seconds", lambda *_: 100 / (48 * 352 * time_estimate.FOREGROUND))
    monkeypatch.setattr(time_estimate, "_network_seconds", lambda *_: 16.0)
    mask = np.zeros((1, 3, 22), np.uint8)
    mask[:, :, :2] = 1
    arguments: dict[str, Any] = {"diameter": 15, "tile": 32, "block": (1, 16, 24)}
    every = bigcell.plan(flat_image, workers=1, **arguments)
    some = bigcell.plan(flat_image, workers=1, foreground=mask, **arguments)
    assert some.foreground is not None
    text = str(some)
    skipped = len(some.grid) - some.foreground.blocks
    assert f"foreground   {skipped} of {len(some.grid)} blocks, and 36 of 48 network tiles, have to do with no" in text
    assert "foreground" not in str(every)
    active_blocks = [k for k in range(len(some.grid)) if some.grid.core(k).start[2] < 32 + 35]
    assert some.foreground.blocks == len(active_blocks)
    assert some.budget.scratch < 0.6 * every.budget.scratch
    assert every.budget.seconds == pytest.approx(100 + 16, abs=0.1)
    assert some.budget.seconds == pytest.approx(100 * len(active_blocks) / 45 + 16 * 12 / 48, abs=0.1)
    assert Plan.from_json(json.loads(json.dumps(some.to_json()))) == some
    assert every.id != some.id


def test_the_command_line_takes_a_path_or_a_number(tmp_path: Path, flat_image: Path) -> None:
    mask = np.zeros((1, 3, 22), np.uint8)
    mask[:, :, :2] = 1
    path = write_image(tmp_path / "a mask.zarr", mask, spacing=Spacing(known=False))
    words = ["--diameter", "15", "--tile", "32", "--block", "1,16,24"]
    planned = CliRunner().invoke(app, ["plan", str(flat_image), "--foreground", str(path), *words])
    assert planned.exit_code == 0, planned.output
    assert " of 45 blocks, and " in planned.stdout
    for foreground in (str(path), "400"):
        out = tmp_path / f"{len(foreground)}.zarr"
        run = ["segment", str(flat_image), "--foreground", foreground, "--output", str(out), "--cluster", "serial"]
        done = CliRunner().invoke(app, [*run, *words])
        assert done.exit_code == 0, done.output
        record = json.loads((out / "labels/cells/record.json").read_text())
        assert record["result"]["skipped"] >= 3
        assert record["plan"]["foreground"]["blocks"] + record["result"]["skipped"] == 45
    wrong = CliRunner().invoke(app, ["plan", str(flat_image), "--foreground", "nan"])
    assert wrong.exit_code == 2
    assert "wanted an intensity" in wrong.stderr
