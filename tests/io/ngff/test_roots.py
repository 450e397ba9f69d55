"""Plates, wells and collections: each door tells which images there are, and a line that takes one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from typer.testing import CliRunner

from bigcell.cli.app import app
from bigcell.core.errors import InputError
from bigcell.core.volume import ArrayVolume
from bigcell.io.ngff.image import read_info
from bigcell.io.ngff.roots import images_of
from bigcell.io.ngff.write_image import write_image

VERSIONS = ("0.4", "0.5")


def group(path: Path, version: str, ome: dict[str, Any]) -> None:
    """A group with OME metadata, as each version has them."""
    attributes = ome if version == "0.4" else {"ome": {"version": "0.5", **ome}}
    zarr.create_group(path, zarr_format=2 if version == "0.4" else 3, attributes=attributes)


def images(folder: Path, version: str, names: list[str]) -> None:
    for name in names:
        write_image(folder / name, ArrayVolume(np.ones((1, 1, 8, 9), np.uint8)), version=version)


def plate(folder: Path, version: str) -> list[str]:
    """One of three wells, of which one was not copied."""
    wells = ["A/1", "A/2", "B/1"]
    group(folder, version, {"plate": {"wells": [{"path": well} for well in wells]}})
    for row in ("A", "B"):
        group(folder / row, version, {})
    for well in ("A/1", "B/1"):
        group(folder / well, version, {"well": {"images": [{"path": "0"}, {"path": "1"}]}})
        images(folder / well, version, ["0", "1"])
    return ["A/1/0", "A/1/1", "B/1/0", "B/1/1"]


def well(folder: Path, version: str) -> list[str]:
    group(folder, version, {"well": {"images": [{"path": "field 1"}, {"path": "../other"}, {"path": 3}]}})
    images(folder, version, ["field 1"])
    return ["field 1"]


def listed(folder: Path, version: str) -> list[str]:
    """With a list of series, not all of which are numbers."""
    group(folder, version, {"bioformats2raw.layout": 3})
    group(folder / "OME", version, {"series": ["overview", "0", "../other"]})
    images(folder, version, ["0", "overview"])
    return ["overview", "0"]


def numbered(folder: Path, version: str) -> list[str]:
    group(folder, version, {"bioformats2raw.layout": 3})
    images(folder, version, [str(n) for n in range(10)])
    return [str(n) for n in range(10)]


ROOTS: dict[str, Callable[[Path, str], list[str]]] = {
    "plate": plate,
    "well": well,
    "collection of images": listed,
    "collection": numbered,
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ROOTS)
def test_images_are_listed(tmp_path: Path, kind: str, version: str) -> None:
    root = tmp_path / "root.zarr"
    wanted = ROOTS[kind](root, version)
    assert list(images_of(str(root))) == wanted
    done = CliRunner().invoke(app, ["inspect", str(root)])
    assert (done.exit_code, done.stdout.splitlines()) == (0, [f"{root}/{name}" for name in wanted])
    for line in done.stdout.splitlines():
        assert CliRunner().invoke(app, ["inspect", line]).exit_code == 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ROOTS)
@pytest.mark.parametrize("door", ["plan", "segment", "view", "convert"])
def test_every_door_names_them_and_a_line_that_works(tmp_path: Path, door: str, kind: str, version: str) -> None:
    root = tmp_path / "root.zarr"
    wanted = ROOTS[kind](root, version)
    words = [door, str(root), *([str(tmp_path / "o.zarr")] if door == "convert" else [])]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert f"is a {kind}" in done.stderr
    assert f"wanted one image of it: {', '.join(wanted[:8])}" in done.stderr
    assert ("all: `bigcell inspect" in done.stderr) == (len(wanted) > 8)
    _, *told = shlex.split(re.findall(r"take one, as in `(.*)`", done.stderr)[0])
    assert CliRunner().invoke(app, told).exit_code == 0


@pytest.mark.parametrize(
    "ome", [{"plate": {}}, {"plate": {"wells": ["A"]}}, {"well": {}}, {"bioformats2raw.layout": 3}]
)
def test_one_without_images(tmp_path: Path, ome: dict[str, Any]) -> None:
    group(tmp_path / "root.zarr", "0.5", ome)
    with pytest.raises(InputError, match="without an image that is there; the copy may be incomplete"):
        read_info(tmp_path / "root.zarr")
