"""Voxel sizes of OME-Zarr images, axis by axis, through every door that measures by them."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from ome_zarr_models import open_ome_zarr

from bigcell.cli.inspect import describe
from bigcell.core.axes import NO_SIZE, Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.request import Request
from bigcell.evaluation.evaluate import ball_of
from bigcell.evaluation.inputs import open_labels
from bigcell.io.formats.convert import convert
from bigcell.io.labels.write_labels import write_labels
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.ngff.pyramid import level_factors


def sized(scales, units=None, **others):
    """An edit of metadata: the scale of each level by axis (a factor of 2 a level along y and x), and units."""

    def edit(attributes):
        entry = attributes.get("ome", attributes)["multiscales"][0]
        names = [a["name"] for a in entry["axes"]]
        for axis in entry["axes"]:
            if units is not None and axis["type"] == "space":
                axis.pop("unit", None)
                axis.update({"unit": u} if (u := units.get(axis["name"])) else {})
        for k, dataset in enumerate(entry["datasets"]):
            step = [2**k if n in "yx" else 1 for n in names]
            moved = [t for t in dataset["coordinateTransformations"] if t["type"] != "scale"]
            values = [scales.get(n, 1.0) * s if s > 1 else scales.get(n, 1.0) for n, s in zip(names, step, strict=True)]
            dataset["coordinateTransformations"] = [{"type": "scale", "scale": values}, *moved]
        attributes.update(others)

    return edit


UM = dict.fromkeys("zyx", "micrometer")


@pytest.mark.parametrize("axis", ["t", "c"])
@pytest.mark.parametrize("scale", [0.0, 0, -1.0, 1e300, None, "x"])
def test_steps_of_time_and_channels_are_not_measured_by(make_store, axis, scale):
    edit = sized({axis: scale, "z": 2.0, "y": 0.5, "x": 0.5})
    path, voxels = make_store("tczyx", version="0.4", edit=edit)
    assert read_info(path).spacing() == Spacing(2.0, 0.5, 0.5)
    write_labels(path, (voxels[0, 0] > 9).astype(np.uint32))
    labels = read_info(path / "labels" / "cells")
    assert labels.levels[0].scale[0] > 0
    open_ome_zarr(path / "labels" / "cells", version="0.4")


@pytest.mark.parametrize(
    ("scales", "units", "spacing"),
    [
        ({"z": 0.0, "y": 0.5, "x": 0.5}, UM, Spacing(1.0, 0.5, 0.5, known=False, units=(NO_SIZE, "µm", "µm"))),
        ({"z": 2.0, "y": 0.0, "x": 0.5}, UM, Spacing(2.0, 1.0, 0.5, known=False, units=("µm", NO_SIZE, "µm"))),
        ({"z": 2.0, "y": 0.5, "x": 0}, UM, Spacing(2.0, 0.5, 1.0, known=False, units=("µm", "µm", NO_SIZE))),
        (
            {"z": 2.0, "y": 0.5, "x": 0.5},
            {"y": "micrometer", "x": "micrometer"},
            Spacing(2.0, 0.5, 0.5, known=False, units=("", "µm", "µm")),
        ),
        (
            {"z": 2.0, "y": 500.0, "x": 500.0},
            {"z": "pixel", "y": "nanometer", "x": "nanometer"},
            Spacing(2.0, 0.5, 0.5, known=False, units=("pixel", "µm", "µm")),
        ),
        ({"z": 2e-6, "y": 0.5e-3, "x": 5000.0}, {"z": "meter", "y": "mm", "x": "angstrom"}, Spacing(2.0, 0.5, 0.5)),
    ],
)
def test_a_size_that_is_not_known_leaves_the_others(make_store, scales, units, spacing):
    info = read_info(make_store("zyx", edit=sized(scales, units))[0])
    found = info.spacing()
    assert found.units == spacing.units
    assert found.zyx == pytest.approx(spacing.zyx)
    assert all(s > 0 for level in info.levels for s in level.scale)


def test_levels_of_no_size_keep_their_steps(make_store):
    path, voxels = make_store("zyx", edit=sized({"z": 0, "y": 0, "x": 0}))
    assert [level.scale for level in read_info(path).levels] == [(1, 1, 1), (1, 2, 2)]
    write_labels(path, (voxels > 9).astype(np.uint32))
    assert [level.shape for level in read_info(path / "labels" / "cells").levels] == [(5, 12, 14), (5, 6, 7)]


@pytest.mark.parametrize(
    ("scales", "units"),
    [
        ({"z": 1.0}, {"y": "micrometer", "x": "micrometer"}),
        ({"z": 7.0}, {"z": "pixel", "y": "micrometer", "x": "micrometer"}),
        ({"z": 0.0}, UM),
        ({"z": 3.0}, {"z": "second", "y": "micrometer", "x": "micrometer"}),
    ],
)
def test_a_plane_needs_no_depth(make_store, scales, units):
    path, _ = make_store("tczyx", sizes={"z": 1}, edit=sized({"y": 0.5, "x": 0.5, **scales}, units))
    volume = open_image(path, channels=[0])
    assert volume.spacing == Spacing(1.0, 0.5, 0.5)
    assert make_plan(Request(diameter="8um"), volume, None).settings.diameter == 16
    assert "a plane, which counts as 1 µm thick" in describe(volume.info)


def test_a_plane_with_a_depth_keeps_it(make_store):
    path, _ = make_store("zyx", sizes={"z": 1}, edit=sized({"z": 3.0, "y": 0.5, "x": 0.5}))
    assert read_info(path).spacing() == Spacing(3.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("scales", "units", "anisotropy", "note"),
    [
        ({"z": 2.0}, {}, 4.0, "2 x 0.5 x 0.5, unit unknown: voxels are taken as 4 times as long along z"),
        ({"z": 2.0}, dict.fromkeys("zyx", "pixel"), 4.0, "2 x 0.5 x 0.5 pixel: voxels are taken as 4 times"),
        ({"z": 0.5}, {}, 1.0, "0.5 x 0.5 x 0.5, unit unknown: voxels are taken as equally long"),
        ({"z": 2.0}, {"y": "um", "x": "um"}, 1.0, "2 (unit unknown) x 0.5 µm x 0.5 µm: voxels are taken as equally"),
        ({"z": 2.0}, UM, 4.0, None),
        ({"z": 2.0}, {"z": "um", "x": "um"}, 4.0, None),
    ],
)
def test_a_ratio_is_known_without_a_unit_and_what_is_taken_is_said(make_store, scales, units, anisotropy, note):
    path, _ = make_store("zyx", edit=sized({"y": 0.5, "x": 0.5, **scales}, units))
    volume = open_image(path)
    plan = make_plan(Request(), volume, None)
    assert plan.settings.anisotropy == anisotropy
    said = " ".join(n for n in plan.notes if n.startswith("voxel size"))
    assert said.startswith(f"voxel size {note}") if note else not said
    assert said in str(plan)
    assert "voxel size" not in " ".join(make_plan(Request(anisotropy=3), volume, None).notes)
    assert ball_of(2.0, volume.spacing).size[0] == anisotropy
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))).id == plan.id


def test_micrometres_need_the_size_along_x_alone(make_store):
    path, _ = make_store("zyx", edit=sized({"z": 2, "y": 0.5, "x": 0.5}, {"x": "micrometer"}))
    assert make_plan(Request(diameter="8um"), open_image(path), None).settings.diameter == 16
    path, _ = make_store("zyx", name="b.zarr", edit=sized({"z": 2, "y": 0.5, "x": 0.5}, {"z": "um", "y": "um"}))
    with pytest.raises(SettingsError, match=r"size along x in a unit of length \(2 µm x 0.5 µm x 0.5 \(unit unknown"):
        make_plan(Request(diameter="8um"), open_image(path), None)


@pytest.mark.parametrize("axis", ["z", "y", "x"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_steps_backwards_are_converted_and_said(make_store, tmp_path, caplog, axis, version):
    scales = {"z": 2.0, "y": 0.5, "x": 0.5}
    edit = sized(scales | {axis: -scales[axis]})
    path, voxels = make_store("zyx", version=version, edit=edit, translation={axis: 63.0})
    assert f"{axis}: scale -{scales[axis]:g} 'micrometer', a step backwards" in describe(read_info(path))
    for refused in (open_image, open_labels):
        with pytest.raises(InputError, match=rf"goes backwards along {axis} .* bigcell convert \S+ image-forward.zarr"):
            refused(path)
    with caplog.at_level(logging.WARNING):
        forward = open_image(convert(path, tmp_path / "image-forward.zarr"))
    assert f"the negative step along {axis} counts as positive, voxels stay in order" in caplog.text
    assert forward.spacing == Spacing(2.0, 0.5, 0.5)
    assert np.array_equal(forward.read(Box.of(forward.extent))[0], voxels)
    caplog.clear()
    given = open_image(convert(path, tmp_path / "given.zarr", spacing_um=(3, 1, 1)))
    assert (given.spacing, caplog.text) == (Spacing(3, 1, 1), "")


@pytest.mark.parametrize("axis", "zyx")
@pytest.mark.parametrize("unit", ["", "um"])
def test_a_size_that_nothing_tells_has_no_ratio_after_converting_either(make_store, tmp_path, axis, unit):
    scales = {"z": 0.5, "y": 0.5, "x": 0.5} | {axis: 0.0}
    path, _ = make_store("zyx", edit=sized(scales, dict.fromkeys("zyx", unit)))
    new = read_info(convert(path, tmp_path / "new.zarr")).spacing()
    assert (new.anisotropy, new.over_x("y")) == (1.0, 1.0)
    assert [new.in_um(a) for a in "zyx"] == [bool(unit) and a != axis for a in "zyx"]


def test_what_converting_does_not_know_it_says(make_store, tmp_path, caplog):
    path, _ = make_store("zyx", edit=sized({"z": 2, "y": 0.5, "x": 0.5}, {"y": "um", "x": "um"}))
    with caplog.at_level(logging.WARNING):
        new = convert(path, tmp_path / "new.zarr")
    assert "voxel size 2 (unit unknown) x 0.5 µm x 0.5 µm (z: scale 2 without a unit)" in caplog.text
    assert read_info(new).spacing() == read_info(path).spacing()


def test_inspect_shows_where_sizes_came_from(make_store, tmp_path):
    path, _ = make_store("zyx", edit=sized({"z": 2e3, "y": 500, "x": 500}, dict.fromkeys("zyx", "nanometer")))
    text = describe(read_info(convert(path, tmp_path / "new.zarr")))
    assert "z: scale 2 'micrometer', from scale 2000 'nanometer'" in text
    assert "y, x: scale 0.5 'micrometer', from scale 500 'nanometer'" in text
    text = describe(read_info(convert(path, tmp_path / "given.zarr", spacing_um=(3, 1, 1))))
    assert "z: scale 3 'micrometer', from what was given to convert" in text


@pytest.mark.parametrize("found", [[], {"z": 3}, {"q": "x"}, "x", {"sizes_from": {"z": 5, "w": "x"}}])
def test_other_peoples_notes_on_sizes_are_not_believed(make_store, found):
    path, _ = make_store("zyx", edit=sized({}, bigcell=found))
    assert read_info(path).sizes_from == {}


def test_levels_shrink_by_what_is_known():
    assert level_factors((64, 600, 600), Spacing(8, 0.5, 0.5))[1] == (1, 2, 2)
    mixed = Spacing.measured((8, 0.5, 0.5), (None, "um", "um"))
    assert level_factors((64, 600, 600), mixed)[1] == (2, 2, 2)
