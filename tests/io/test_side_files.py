"""The files beside the levels of labels: zarr warns of them where their group is listed, and nowhere else."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr

from bigcell.core.axes import Spacing
from bigcell.io.labels.destination import check_target
from bigcell.io.labels.label_store import LabelForm, create_labels
from bigcell.io.labels.publish import publish
from bigcell.io.ngff.image import open_image
from bigcell.io.ngff.write_image import write_image


@pytest.fixture(params=["0.4", "0.5"])
def image(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = write_image(tmp_path / "i.zarr", np.ones((4, 8, 8), np.uint16), spacing=Spacing(), version=request.param)
    volume = open_image(path)
    target = check_target(path, "cells", image=volume, overwrite=False)
    store = create_labels(target, LabelForm(volume.extent, volume.spacing, volume, np.uint32))
    for name in ("report.html", "record.json"):
        (tmp_path / name).write_text("{}")
    publish(store, attributes={}, files={name: tmp_path / name for name in ("report.html", "record.json")})
    return path


def test_opening_by_name_and_listing_the_image_say_nothing(image: Path) -> None:
    """Warnings are errors here."""
    group = zarr.open_group(image / "labels" / "cells", mode="r")
    assert group["0"].shape == (4, 8, 8)
    assert "0" in group
    root = zarr.open_group(image, mode="r")
    assert sorted(root.keys()) == ["0", "labels"]
    assert [name for name, _ in root["labels"].members()] == ["cells"]


def test_listing_the_labels_warns_once_for_each_and_leaves_nothing_out(image: Path) -> None:
    group = zarr.open_group(image / "labels" / "cells", mode="r")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [name for name, _ in group.members()] == ["0"]
    assert len(caught) == 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Object at .* is not recognized")  # as the page about readers has it
        assert [name for name, _ in group.members()] == ["0"]
