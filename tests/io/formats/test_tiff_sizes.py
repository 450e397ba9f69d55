"""Voxel sizes of TIFF files, axis by axis, in the spellings of the programs that write them."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from bigcell.core.axes import NO_SIZE, Spacing
from bigcell.io.formats.convert import convert, open_pixels
from bigcell.io.formats.tiff_sizes import tiff_spacing
from bigcell.io.ngff.image import read_info

STACK = np.arange(3 * 8 * 9, dtype=np.uint16).reshape(3, 8, 9)
HALF = Spacing(2.0, 0.5, 0.5)


def imagej(path, text, resolution=(2.0, 2.0), stack=STACK):
    """A file as ImageJ writes it, with `text` in its description."""
    said = f"ImageJ=1.54f\nimages={len(stack)}\nslices={len(stack)}\nloop=false\n{text}"
    tifffile.imwrite(
        path, stack, description=said, metadata=None, resolution=resolution, resolutionunit=1, byteorder=">",
        photometric="minisblack",
    )  # fmt: skip
    return path


def lacking(z=2.0, y=0.5, x=0.5, units=("µm", "µm", "µm")):
    return Spacing(z, y, x, known=False, units=units)


@pytest.mark.parametrize(
    ("text", "resolution", "spacing"),
    [
        ("unit=um\nspacing=2.0\n", (2.0, 2.0), HALF),
        ("unit=nm\nyunit=nm\nzunit=um\nspacing=2.0\n", (0.002, 0.002), HALF),
        ("unit=um\nyunit=um\nzunit=nm\nspacing=2000.0\n", (2.0, 2.0), HALF),
        ("unit=um\nyunit=nm\nspacing=2.0\n", (2.0, 0.002), HALF),
        ("unit=mm\nzunit=micron\nspacing=2\n", (2000, 2000), HALF),
        ("unit=\\u00B5m\nspacing=2\n", (2, 2), HALF),
        ("unit=inch\nspacing=2\nzunit=um\n", (50800, 50800), HALF),
        ("unit=um\nzunit=nm\n", (2.0, 2.0), Spacing(0.001, 0.5, 0.5)),
        ("unit=um\nspacing=-2\n", (2.0, 2.0), HALF),
        ("unit=um\nspacing=0\n", (2.0, 2.0), lacking(z=1, units=(NO_SIZE, "µm", "µm"))),
        ("unit=um\nzunit=pixel\nspacing=2\n", (2.0, 2.0), lacking(units=("pixel", "µm", "µm"))),
        ("unit=pixel\nspacing=2\n", (2.0, 2.0), lacking(units=("pixel",) * 3)),
        ("spacing=2\n", (2.0, 2.0), lacking(units=("",) * 3)),
        ("unit=um\nspacing=2\n", (2.0, 0.0), lacking(y=1, units=("µm", NO_SIZE, "µm"))),
    ],
)
def test_imagej(tmp_path, text, resolution, spacing):
    found = open_pixels(imagej(tmp_path / "a.tif", text, resolution))[0].spacing
    assert found.units == spacing.units
    assert found.zyx == pytest.approx(spacing.zyx)


@pytest.mark.parametrize(
    ("about", "spacing"),
    [
        ({"Z": (2, "µm"), "Y": (0.5, "µm"), "X": (0.5, "µm")}, HALF),
        ({"Z": (2e-5, "dm"), "Y": (0.5e-4, "cm"), "X": (0.5e-6, "m")}, HALF),
        ({"Z": (2e6, "pm"), "Y": (5000, "Å"), "X": (0.5 / 25400, "in")}, HALF),
        ({"Z": (-2, "µm"), "Y": (0.5, None), "X": (500, "nm")}, HALF),
        ({"Y": (0.5, "µm"), "X": (0.5, "µm")}, lacking(z=1, units=(NO_SIZE, "µm", "µm"))),
        ({"Z": (2, "pixel"), "Y": (0.5, "µm"), "X": (0.5, "µm")}, lacking(units=("pixel", "µm", "µm"))),
        (
            {"Z": (2, "reference frame"), "Y": (0.5, "reference frame"), "X": (0.5, "reference frame")},
            lacking(units=("reference frame",) * 3),
        ),
        ({"Z": (0, "µm"), "Y": (0.5, "µm"), "X": (0.5, "µm")}, lacking(z=1, units=(NO_SIZE, "µm", "µm"))),
        ({"Z": ("NaN", "µm"), "Y": (0.5, "µm"), "X": (0.5, "µm")}, lacking(z=1, units=(NO_SIZE, "µm", "µm"))),
        ({"Z": ("two", "µm"), "Y": (0.5, "µm"), "X": (0.5, "µm")}, lacking(z=1, units=(NO_SIZE, "µm", "µm"))),
        ({}, lacking(1, 1, 1, units=(NO_SIZE,) * 3)),
    ],
)
def test_ome(tmp_path, about, spacing):
    sizes = {f"PhysicalSize{a}": v for a, (v, _) in about.items()}
    units = {f"PhysicalSize{a}Unit": u for a, (_, u) in about.items() if u}
    tifffile.imwrite(
        tmp_path / "a.ome.tif", STACK, metadata={"axes": "ZYX", **sizes, **units}, photometric="minisblack"
    )
    found = open_pixels(tmp_path / "a.ome.tif")[0].spacing
    assert found.units == spacing.units
    assert found.zyx == pytest.approx(spacing.zyx)


def test_a_plane_of_ome_needs_no_depth(tmp_path):
    about = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK[0], metadata=about)
    assert open_pixels(tmp_path / "a.ome.tif")[0].spacing == Spacing(1.0, 0.5, 0.5)


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_a_stack_taken_from_the_top_down(tmp_path, caplog, kind):
    if kind == "imagej":
        source = imagej(tmp_path / "a.tif", "unit=um\nspacing=-1.5\n")
    else:
        source = tmp_path / "a.ome.tif"
        about = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": -1.5}
        tifffile.imwrite(source, STACK, metadata=about, photometric="minisblack")
    with caplog.at_level(logging.WARNING):
        path = convert(source, tmp_path / "a.zarr")
    assert "the negative step along z counts as positive, voxels stay in order" in caplog.text
    info = read_info(path)
    assert info.spacing() == Spacing(1.5, 0.5, 0.5)
    assert "-1.5" in info.sizes_from["z"]


def test_what_a_file_does_not_know_is_not_written_and_said(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        path = convert(imagej(tmp_path / "a.tif", "unit=um\nzunit=pixel\nspacing=2\n"), tmp_path / "a.zarr")
    assert "2 pixel x 0.5 µm x 0.5 µm (z: ImageJ spacing 2, unit pixel)" in caplog.text
    info = read_info(path)
    assert info.units == (None, "micrometer", "micrometer")
    assert info.spacing().zyx == (2.0, 0.5, 0.5)


def test_a_plane_says_nothing_of_its_depth(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        path = convert(imagej(tmp_path / "a.tif", "unit=um\nzunit=pixel\n", stack=STACK[:1]), tmp_path / "a.zarr")
    assert caplog.text == ""
    assert read_info(path).spacing() == Spacing(1.0, 0.5, 0.5)


NOTHING = {
    "ome_metadata": None, "imagej_metadata": None, "lsm_metadata": None, "stk_metadata": None,
    "micromanager_metadata": None, "pages": [SimpleNamespace(tags={})],
}  # fmt: skip


@pytest.mark.parametrize(
    ("metadata", "spacing"),
    [
        ({"lsm_metadata": {"VoxelSizeZ": 2e-6, "VoxelSizeY": 5e-7, "VoxelSizeX": 5e-7}}, HALF),
        (
            {"lsm_metadata": {"VoxelSizeZ": 0.0, "VoxelSizeY": 5e-7, "VoxelSizeX": 5e-7}},
            lacking(z=1, units=(NO_SIZE, "µm", "µm")),
        ),
        (
            {
                "stk_metadata": {
                    "CalibrationUnits": "um", "XCalibration": 0.5, "YCalibration": 0.5, "ZDistance": np.full(2, 2.0)
                }
            },
            HALF,
        ),
        (
            {"stk_metadata": {"CalibrationUnits": "pixel", "XCalibration": 0.5, "YCalibration": 0.5}},
            lacking(z=1, units=(NO_SIZE, "pixel", "pixel")),
        ),
        ({"micromanager_metadata": {"Summary": {"PixelSize_um": 0.5, "z-step_um": 2}}}, HALF),
        ({"micromanager_metadata": {"Summary": {"PixelSize_um": 0.5, "z-step_um": -2}}}, HALF),
        (
            {"micromanager_metadata": {"Summary": {"PixelSize_um": 0.0, "z-step_um": 2}}},
            lacking(y=1, x=1, units=("µm", NO_SIZE, NO_SIZE)),
        ),
        ({"micromanager_metadata": {"Summary": None}}, lacking(1, 1, 1, units=(NO_SIZE,) * 3)),
    ],
)  # fmt: skip
def test_other_programs(metadata, spacing):
    found = tiff_spacing(SimpleNamespace(**NOTHING | metadata), 0)
    assert found.units == spacing.units
    assert found.zyx == pytest.approx(spacing.zyx)
