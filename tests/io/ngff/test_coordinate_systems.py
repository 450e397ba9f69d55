"""OME-NGFF 0.6: the intrinsic system of an image is read, what no scale and translation can say is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import bigcell
from bigcell.cli.app import app
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import ArrayVolume
from bigcell.io.labels.write_labels import write_labels
from bigcell.io.ngff.coordinate_systems import as_newer, as_older
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.ngff.write_image import write_image
from bigcell.testing.files import files_of

VOXELS = np.random.default_rng(0).integers(0, 900, (4, 20, 30)).astype(np.uint16)
AXES = [
    {"name": a, "type": "space", "unit": u}
    for a, u in zip("zyx", ("micrometer", "nanometer", "nanometer"), strict=True)
]
SCALE = {"type": "scale", "scale": [2.0, 500.0, 250.0]}
MATRIX = [[2, 0, 0, 4], [0, 500, 0, 100], [0, 0, 250, 50]]
SHEAR = [[2, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
MOVE = {"type": "translation", "translation": [4.0, 100.0, 50.0]}


def transform(step: dict[str, Any], *, name: str = "physical") -> list[dict[str, Any]]:
    return [{**step, "input": {"path": "0"}, "output": {"name": name}}]


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "sequence", "transformations": list(steps)}


def entry(step: dict[str, Any], **others: Any) -> dict[str, Any]:
    """As the specification lays it out: systems by name, one transformation a level."""
    systems = [{"name": "physical", "axes": AXES}]
    datasets = [{"path": "0", "coordinateTransformations": transform(step)}]
    return {"name": "image", "coordinateSystems": systems, "datasets": datasets, **others}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    group = zarr.create_group(tmp_path / "image.zarr", zarr_format=3)
    group.create_array("0", shape=VOXELS.shape, chunks=(4, 10, 10), dtype=VOXELS.dtype, dimension_names=list("zyx"))[
        ...
    ] = VOXELS
    return tmp_path / "image.zarr"


def describe(image: Path, made: dict[str, Any], version: str = "0.6") -> None:
    zarr.open_group(image, mode="r+").attrs["ome"] = {"version": version, "multiscales": [made]}


@pytest.mark.parametrize("version", ["0.6", "0.6rc0", "0.6.dev4"])
@pytest.mark.parametrize(
    ("step", "scale", "origin"),
    [
        (SCALE, (2, 0.5, 0.25), (0, 0, 0)),
        ({"type": "identity"}, (1, 0.001, 0.001), (0, 0, 0)),
        (sequence(SCALE, MOVE), (2, 0.5, 0.25), (4, 0.1, 0.05)),
        (sequence(MOVE, SCALE), (2, 0.5, 0.25), (8, 50, 12.5)),
        (sequence({"type": "identity"}, sequence(SCALE), MOVE), (2, 0.5, 0.25), (4, 0.1, 0.05)),
        (
            {"type": "affine", "affine": [[2, 0, 0, 4], [0, 500, 0, 100], [0, 0, 250, 50]]},
            (2, 0.5, 0.25),
            (4, 0.1, 0.05),
        ),
    ],
)
def test_sizes_and_places(image: Path, version: str, step: dict[str, Any], scale: Any, origin: Any) -> None:
    describe(image, entry(step), version)
    volume = open_image(image)
    assert volume.spacing.zyx == pytest.approx(scale)
    assert volume.spacing.known
    assert volume.origin_um == pytest.approx(origin)
    assert (volume.read(Box.of(volume.extent))[0] == VOXELS).all()


def test_the_intrinsic_system_is_taken(image: Path) -> None:
    """An image may say where it lies on a stage, or in an atlas."""
    made = entry(SCALE)
    made["coordinateSystems"].insert(0, {"name": "atlas", "axes": [{**a, "unit": "millimeter"} for a in AXES]})
    made["coordinateTransformations"] = [
        {
            "type": "rotation",
            "rotation": np.eye(3)[::-1].tolist(),
            "input": {"name": "physical"},
            "output": {"name": "atlas"},
        }
    ]
    describe(image, made)
    assert open_image(image).spacing.zyx == pytest.approx((2, 0.5, 0.25))


REFUSED = {
    "rotation": ({"type": "rotation", "rotation": np.eye(3).tolist()}, "'rotation', wanted a scale and a translation"),
    "shear": (
        {"type": "affine", "affine": [[2, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]},
        "an affine matrix that turns or shears",
    ),
    "displacements": (
        {"type": "displacements", "path": "field"},
        r"transformation \(displacements\) of numbers in an array",
    ),
    "scale in an array": ({"type": "scale", "path": "scale"}, r"transformation \(scale\) of numbers in an array"),
    "swapped axes": ({"type": "mapAxis", "mapAxis": [2, 1, 0]}, "'mapAxis', wanted"),
    "by dimension": ({"type": "byDimension", "transformations": []}, "'byDimension', wanted"),
    "both ways": ({"type": "bijection", "forward": SCALE, "inverse": SCALE}, "'bijection', wanted"),
    "in a sequence": (sequence(SCALE, {"type": "rotation", "rotation": []}), "'rotation', wanted"),
    "two numbers": ({"type": "scale", "scale": [1, 2]}, r"the scale \[1, 2\], wanted 3 numbers"),
    "a small matrix": ({"type": "affine", "affine": [[1, 0, 0, 0]]}, "no affine matrix of 3 x 4 numbers"),
    "a matrix of text": ({"type": "affine", "affine": [["1"] * 4] * 3}, "the affine .* wanted 4 numbers"),
    "no kind": ({}, "'None', wanted"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_to_be_resampled_is_refused(image: Path, what: str) -> None:
    step, said = REFUSED[what]
    describe(image, entry(step))
    with pytest.raises(InputError, match=said):
        read_info(image)


def deep() -> dict[str, Any]:
    step = SCALE
    for _ in range(100):
        step = sequence(step)
    return step


def other_system(made: dict[str, Any]) -> None:
    made["coordinateSystems"].append({"name": "other", "axes": AXES})
    made["datasets"].append({"path": "1", "coordinateTransformations": transform(SCALE, name="other")})


def first(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["datasets"][0]["coordinateTransformations"][0]
    return found


SPOILED: dict[str, Callable[[dict[str, Any]], object]] = {
    "no systems": lambda made: made.pop("coordinateSystems"),
    "unknown system": lambda made: first(made)["output"].update(name="elsewhere"),
    "two systems": other_system,
    "no output": lambda made: first(made).pop("output"),
    "two transformations": lambda made: made["datasets"][0]["coordinateTransformations"].append(first(made)),
    "no levels": lambda made: made["datasets"].clear(),
    "levels of text": lambda made: made.update(datasets=["0"]),
    "systems of text": lambda made: made.update(coordinateSystems=["physical"]),
    "axes of text": lambda made: made["coordinateSystems"][0].update(axes="zyx"),
    "as in 0.5": lambda made: (first(made).pop("output"), made.pop("coordinateSystems"), made.update(axes=AXES)),
    "deep": lambda made: first(made).update(deep()),
}


@pytest.mark.parametrize("what", SPOILED)
def test_metadata_that_are_not_as_they_should_be(image: Path, what: str) -> None:
    made = json.loads(json.dumps(entry(SCALE)))
    SPOILED[what](made)
    describe(image, made)
    with pytest.raises(InputError, match=r"wanted|repair"):
        read_info(image)


NUMBERS = st.floats(0.25, 4).map(lambda v: round(v, 2))
STEP = st.lists(NUMBERS, min_size=3, max_size=3).flatmap(
    lambda v: st.sampled_from([{"type": "scale", "scale": v}, {"type": "translation", "translation": v}])
)


@given(st.lists(STEP, min_size=1, max_size=5))
def test_a_sequence_is_what_its_steps_do_one_after_the_other(steps: list[dict[str, Any]]) -> None:
    (level,) = as_older("it", entry(sequence(*steps)))["datasets"]
    (scale, move) = (t[t["type"]] for t in level["coordinateTransformations"])
    point = np.array([3.0, 5.0, 7.0])
    found = point * scale + move
    for step in steps:
        point = point * step["scale"] if step["type"] == "scale" else point + step["translation"]
    assert found == pytest.approx(point)


@pytest.mark.parametrize("moved", [False, True])
def test_there_and_back(moved: bool) -> None:
    steps = [SCALE, MOVE] if moved else [SCALE]
    older = {"name": "a", "axes": AXES, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    newer = as_newer(older)
    assert newer["coordinateSystems"][0]["axes"] == AXES
    assert "axes" not in newer
    back = as_older("it", newer)
    assert back["axes"] == AXES
    assert back["datasets"][0]["coordinateTransformations"][: len(steps)] == steps


def test_one_that_we_write(tmp_path: Path) -> None:
    """And its labels are of its version: those of one hierarchy must agree."""
    write_image(tmp_path / "a.zarr", ArrayVolume(VOXELS[None]))
    words = ["convert", tmp_path / "a.zarr", tmp_path / "b.zarr", "--ome-zarr", "0.6", "--spacing", "2,0.5,0.5"]
    assert CliRunner().invoke(app, list(map(str, words))).exit_code == 0
    info = read_info(tmp_path / "b.zarr")
    assert (info.version, info.spacing().zyx) == ("0.6", (2, 0.5, 0.5))
    write_labels(tmp_path / "b.zarr", (VOXELS > 450).astype(np.uint8))
    about = json.loads((tmp_path / "b.zarr/labels/cells/zarr.json").read_text())["attributes"]["ome"]
    assert about["version"] == "0.6"
    assert about["multiscales"][0]["coordinateSystems"][0]["name"] == "physical"
    assert json.loads((tmp_path / "b.zarr/labels/zarr.json").read_text())["attributes"]["ome"]["version"] == "0.6"
    assert read_info(tmp_path / "b.zarr").labels == ("cells",)
    assert read_info(tmp_path / "b.zarr/labels/cells").spacing().zyx == (2, 0.5, 0.5)


def test_a_run_over_one(tmp_path: Path, flow_store: Path) -> None:
    newer = bigcell.convert(flow_store, tmp_path / "flows.zarr6", version="0.6")
    made = bigcell.segment(flows=newer, cluster="serial")
    plain = bigcell.segment(flows=flow_store, cluster="serial")
    assert files_of(made.path / "0") == files_of(plain.path / "0")
    assert read_info(made.path).version == "0.6"
