"""The page of formats says what the code does: its tables are held to it, row by row."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from bigcell.core.errors import InputError
from bigcell.core.units import um_per
from bigcell.io.formats.convert import open_pixels
from tests.io.conftest import StoreMaker
from tests.io.formats.test_tiff_kinds import PLANE, RGBA, STACK, write_set
from tests.io.test_sizes import sized

PAGE = (Path(__file__).parent.parent / "docs" / "reference" / "formats.md").read_text()
COLOURS = np.stack([STACK // 2] * 3, -1).astype(np.uint8)


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    table = PAGE.partition(f"\n## {heading}\n")[2].partition("\n|---")[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


@pytest.mark.parametrize("row", rows("Units of length"), ids=lambda row: row[0])
def test_units_of_the_page(row: list[str]) -> None:
    for spelled in re.findall(r"`([^`]+)`", row[0] + row[2]):
        assert f"{um_per(spelled):g}" == row[1], spelled


def test_what_the_page_calls_no_length() -> None:
    listed = PAGE.partition("These are no lengths:")[2].partition("\n\n")[0]
    assert [um_per(unit) for unit in re.findall(r"`([^`]+)`", listed)] == [None] * 3


def tiff(pixels: Any, name: str = "a.tif", **options: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        tifffile.imwrite(folder / name, pixels, **options)
        return folder / name

    return make


def imagej(text: str, pixels: Any = STACK, slices: int = 4) -> Callable[[Path], Path]:
    said = f"ImageJ=1.54f\nimages={slices}\nslices={slices}\nloop=false\n{text}"
    return tiff(pixels, description=said, metadata=None, resolution=(2, 2), resolutionunit=1, photometric="minisblack")


def ome(
    pixels: Any = STACK, axes: str = "ZYX", photometric: str = "minisblack", **about: Any
) -> Callable[[Path], Path]:
    return tiff(pixels, "a.ome.tif", photometric=photometric, metadata={"axes": axes, **about})


def sizes(z: Any = 2, unit: str = "µm") -> dict[str, Any]:
    return {"PhysicalSizeZ": z, "PhysicalSizeZUnit": unit, "PhysicalSizeY": 0.5, "PhysicalSizeX": 0.5}


def store(scales: dict[str, float], units: dict[str, str] | None = None, **options: Any) -> Callable[[Path], Path]:
    edit = sized({"z": 2.0, "y": 0.5, "x": 0.5, **scales}, units)
    return lambda folder: StoreMaker(folder)(version="0.4", edit=edit, levels=1, **options)[0]


def set_but(gone: int | None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        files = write_set(folder / "set")
        if gone is not None:
            files[gone].unlink()
        return folder / "set"

    return make


def pyramid(folder: Path) -> Path:
    with tifffile.TiffWriter(folder / "a.ome.tif") as tif:
        tif.write(STACK, subifds=1, tile=(16, 16), metadata={"axes": "ZYX"}, photometric="minisblack")
        tif.write(STACK[:, ::2, ::2], subfiletype=1, tile=(16, 16), photometric="minisblack")
    return folder / "a.ome.tif"


def planes(folder: Path) -> Path:
    for number, plane in enumerate(STACK):
        tifffile.imwrite(folder / f"z{number}.tif", plane)
    return folder


def picture(pixels: Any, name: str = "a.png", mode: str | None = None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        image = Image.fromarray(pixels)
        (image.convert(mode) if mode else image).save(folder / name)
        return folder / name

    return make


def npy(pixels: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        np.save(folder / "a.npy", pixels)
        return folder / "a.npy"

    return make


KINDS: dict[str, Callable[[Path], Path]] = {
    "ImageJ, `unit=um`, `spacing=2`": imagej("unit=um\nspacing=2\n"),
    "ImageJ, `unit=um`, `zunit=nm`, `spacing=2000`": imagej("unit=um\nzunit=nm\nspacing=2000\n"),
    "ImageJ, `spacing=-2`": imagej("unit=um\nspacing=-2\n"),
    "ImageJ, `spacing=0`": imagej("unit=um\nspacing=0\n"),
    "ImageJ, no unit": imagej("spacing=2\n"),
    "ImageJ, channels last": tiff(RGBA.astype(np.uint16), imagej=True, photometric="minisblack"),
    "OME-TIFF with sizes and names": ome(STACK[None], "CZYX", Channel={"Name": ["DAPI"]}, **sizes()),
    "OME-TIFF, `PhysicalSizeZUnit` cm": ome(**sizes(2e-4, "cm")),
    "OME-TIFF, `PhysicalSizeZUnit` pixel": ome(**sizes(unit="pixel")),
    "OME-TIFF, no `PhysicalSizeZ`": ome(PhysicalSizeY=0.5, PhysicalSizeX=0.5),
    "OME-TIFF, two channels of colours": ome(np.stack([COLOURS] * 2, 1), "ZCYXS", "rgb", **sizes()),
    "OME-TIFF with a pyramid in SubIFDs": pyramid,
    "OME-TIFF set, its folder": set_but(None),
    "OME-TIFF set, one file missing": set_but(2),
    "TIFF, RGB": tiff(RGBA[..., :3], photometric="rgb"),
    "TIFF, RGB and alpha": tiff(RGBA, photometric="rgb", extrasamples=[2]),
    "TIFF, RGB and an unspecified sample": tiff(RGBA, photometric="rgb", extrasamples=[0]),
    "TIFF, grey and alpha": tiff(RGBA[..., [0, 3]], photometric="minisblack", extrasamples=[2], planarconfig="contig"),
    "TIFF, a stack of no known axes": tiff(STACK, photometric="minisblack"),
    "TIFF, a stack of RGB": tiff(COLOURS, photometric="rgb"),
    "TIFF, channels last": tiff(COLOURS.astype(np.uint16), photometric="minisblack"),
    "TIFF without pages": lambda folder: _written(folder / "a.tif", b"II*\0\0\0\0\0"),
    "folder of planes": planes,
    "PNG, RGB and alpha": picture(RGBA),
    "PNG, a palette": picture(PLANE, mode="P"),
    "JPEG, CMYK": picture(RGBA[..., :3], "a.jpg", "CMYK"),
    "NumPy, three axes": npy(STACK),
    "NumPy, four axes": npy(STACK[None]),
    "NumPy, channels last": npy(RGBA),
    "OME-Zarr, micrometer": store({}, axes="zyx"),
    "OME-Zarr, a scale of 0 along t": store({"t": 0.0}, axes="tzyx", sizes={"t": 1}),
    "OME-Zarr, a scale of 0 along z": store({"z": 0.0}, axes="zyx"),
    "OME-Zarr, a scale of -2 along z": store({"z": -2.0}, axes="zyx"),
    "OME-Zarr, no unit along z": store({}, {"y": "micrometer", "x": "micrometer"}, axes="zyx"),
    "OME-Zarr, the same of one plane": store({}, {"y": "micrometer", "x": "micrometer"}, axes="zyx", sizes={"z": 1}),
}


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def taken(source: Path) -> list[str]:
    """Extent, channels and voxel size of what is read; or what is said, and proposed, where it is refused."""
    try:
        volume = open_pixels(source)[0]
    except InputError as error:
        proposed = re.search(r"axes='(\w+)'( \(t time| if these|$)", str(error))
        why = f"asked for; proposed is `{proposed[1]}`" if proposed else re.split(r"[:;,] ", str(error))[0]
        return ["refused", re.sub(rf"{re.escape(str(source))}/?", "", why).strip(), ""]
    return [" x ".join(map(str, volume.extent)), ", ".join(volume.channels), volume.spacing.described()]


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_files_of_the_page(tmp_path: Path, kind: str) -> None:
    (row,) = (row for row in rows("Kinds of files") if row[0] == kind)
    assert row[1:] == taken(KINDS[kind](tmp_path))


def test_the_page_lists_no_other_kinds() -> None:
    assert [row[0] for row in rows("Kinds of files")] == list(KINDS)
