"""Labels that igneous planned on are known for what they are, and mended to what they were, byte for byte of metadata.

`findings/igneous_planning_breaks_ome_zarr.sh` shows that igneous does what `plan_meshes` does here.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bigcell.cli.app import app
from bigcell.core.axes import Spacing
from bigcell.core.errors import InputError
from bigcell.io.labels.destination import check_target
from bigcell.io.labels.label_store import LabelForm, create_labels
from bigcell.io.labels.publish import publish
from bigcell.io.labels.rewritten import is_rewritten, mend
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.ngff.write_image import write_image

EXTENT, STEPS = (4, 300, 300), Spacing(2, 0.5, 0.25)


def label(store: Path, image: Path) -> Path:
    volume = open_image(image)
    made = create_labels(
        check_target(store, "cells", image=volume, overwrite=False),
        LabelForm(volume.extent, volume.spacing, volume, np.uint32),
    )
    record = store.with_name("record.json")
    record.write_text(json.dumps({"model": "nuclei"}))
    return Path(publish(made, attributes={"bigcell": {"model": "nuclei"}}, files={"record.json": record}))


def change(path: Path, edit: Any) -> None:
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def plan_meshes(labels: Path) -> None:
    """Change the metadata as igneous does. Doing it again makes it worse, as there."""
    for level in sorted(p for p in labels.iterdir() if p.name.isdigit()):
        if (level / "zarr.json").exists():
            change(level / "zarr.json", lambda d: d.update(node_type="group"))
        else:
            change(level / ".zarray", lambda d: d.update(chunks=[1, 1, *d["chunks"]][-5:]))
    if not (labels / "zarr.json").exists():
        change(labels / ".zattrs", lambda d: _resize(d["multiscales"][0], [1, 1], 1))
        return
    array = json.loads((labels / "0" / "zarr.json").read_text())
    change(labels / "zarr.json", lambda d: d["attributes"].pop("bigcell", None))
    change(labels / "zarr.json", lambda d: _resize(d["attributes"]["ome"]["multiscales"][0], [], 1000))
    change(labels / "zarr.json", lambda d: d.update({k: v for k, v in array.items() if k not in d}))


def _resize(entry: dict[str, Any], before: list[float], by: float) -> None:
    for level in entry["datasets"]:
        scale = [n * by for n in level["coordinateTransformations"][0]["scale"]]
        still = [{"type": "translation", "translation": [0.0] * len(scale)}] if by > 1 else []
        level["coordinateTransformations"] = [{"type": "scale", "scale": [*before, *scale][-5:]}, *still]


def documents(folder: Path) -> dict[str, Any]:
    names = ("zarr.json", ".zattrs", ".zarray", ".zgroup")
    return {str(p.relative_to(folder)): json.loads(p.read_text()) for p in sorted(folder.rglob("*")) if p.name in names}


@pytest.fixture
def image(tmp_path: Path, version: str) -> Path:
    return write_image(tmp_path / "i.zarr", np.ones(EXTENT, np.uint16), spacing=STEPS, version=version)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("version", "own"), [("0.4", False), ("0.5", False), ("0.5", True)])
def test_what_igneous_changed_is_mended(tmp_path: Path, image: Path, own: bool, times: int) -> None:
    store = tmp_path / "labels.zarr" if own else image
    labels = label(store, image)
    assert not is_rewritten(str(labels))
    before = documents(store)
    for _ in range(times):
        plan_meshes(labels)
    assert is_rewritten(str(labels))
    assert documents(store) != before
    with pytest.raises(InputError):
        read_info(labels)
    mend(str(labels))
    assert documents(store) == before
    assert not is_rewritten(str(labels))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_inspect_names_it_and_the_line_that_mends_it(image: Path) -> None:
    labels = label(image, image)
    plan_meshes(labels)
    said = CliRunner().invoke(app, ["inspect", str(labels)])
    assert said.exit_code == 2
    assert f"`bigcell inspect {labels} --mend`" in said.stderr
    assert f"`bigcell inspect {labels} --mend`" in CliRunner().invoke(app, ["inspect", str(image)]).stdout
    mended = CliRunner().invoke(app, ["inspect", str(labels), "--mend"])
    assert mended.exit_code == 0, mended.stderr
    assert "voxel     2 x 0.5 x 0.25 µm" in mended.stdout


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_what_cannot_be_mended_is_left_as_it_is(tmp_path: Path, image: Path) -> None:
    labels = label(image, image)
    with pytest.raises(InputError, match="leave --mend out"):
        mend(str(labels))
    plan_meshes(labels)
    other = write_image(tmp_path / "other.zarr", np.ones((4, 20, 20), np.uint16), version=read_info(image).version)
    moved = other / "labels" / "cells"
    shutil.copytree(labels, moved)
    for alone, why in ((moved, "is no image of the same voxels"), (tmp_path / "cells", "leave --mend out")):
        if not alone.exists():
            shutil.copytree(labels, alone)
        before = documents(alone)
        with pytest.raises(InputError, match=why):
            mend(str(alone))
        assert documents(alone) == before
    shutil.rmtree(labels / "1")
    with pytest.raises(InputError, match="lacks more than igneous takes"):
        mend(str(labels))
