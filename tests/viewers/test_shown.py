"""What a view takes from a store is in that store; what its metadata names besides is told of and left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bigcell.cli.app import app
from bigcell.core.errors import InputError
from bigcell.io.ngff.image import read_info
from bigcell.viewers.shown import find_shown

LABELS = np.pad(np.ones((2, 4, 4), np.uint32), 2)
HOSTILE: list[Any] = ["../../private.zarr", "/etc", "a\\b", "absent", 3, ".hidden", "", "..", "a\0b", "a" * 300]


def set_attribute(group: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads((group / "zarr.json").read_text())
    change(document["attributes"]["ome"])
    (group / "zarr.json").write_text(json.dumps(document))


@pytest.fixture
def image(tmp_path: Path, write_labels: Callable[..., Path]) -> Path:
    write_labels(tmp_path / "private.zarr", LABELS)
    return write_labels(tmp_path / "image.zarr", LABELS, names=("cells", "nuclei"))


def test_a_list_of_labels_names_what_is_there_and_nothing_else(image: Path) -> None:
    (image / "labels" / ".hidden").mkdir()
    set_attribute(image / "labels", lambda ome: ome.update(labels=["cells", *HOSTILE, "nuclei", "cells"]))
    info = read_info(image)
    assert info.labels == ("cells", "nuclei")
    assert len(info.stale) == len(HOSTILE)
    shown = find_shown(image)
    assert list(shown.labels) == ["cells", "nuclei"]
    assert len(shown.notices) == len(HOSTILE)
    said = CliRunner().invoke(app, ["inspect", str(image)]).stdout
    assert "listed    'absent', but no labels of that name are there" in said


def test_labels_that_cannot_be_read_do_not_take_the_others_along(image: Path) -> None:
    (image / "labels" / "cells" / "zarr.json").write_text("{")
    shown = find_shown(image)
    assert list(shown.labels) == ["nuclei"]
    assert "labels 'cells' are not shown" in shown.notices[0]
    with pytest.raises(InputError, match="cannot be opened"):
        find_shown(image, labels="cells")


def test_labels_behind_a_link_are_shown_to_this_machine_alone(image: Path) -> None:
    (image / "labels" / "far").symlink_to(image.parent / "private.zarr")
    set_attribute(image / "labels", lambda ome: ome.update(labels=["cells", "far"]))
    assert list(find_shown(image).labels) == ["cells", "far"]
    shared = find_shown(image, shared=True)
    assert list(shared.labels) == ["cells"]
    assert "link out of" in shared.notices[0]


@pytest.mark.parametrize("source", ["../../../private.zarr", None, 3, [], "a\0b", "a" * 300, "~nosuch/a.zarr"])
def test_an_image_outside_of_the_store_is_shown_to_this_machine_alone(image: Path, source: Any) -> None:
    where = image / "labels" / "cells"
    set_attribute(where, lambda ome: ome.update({"image-label": {"source": {"image": source}}}))
    found = find_shown(where).image
    assert (found is not None) == (source == "../../../private.zarr")
    assert find_shown(where, shared=True).image is None
    set_attribute(where, lambda ome: ome.update({"image-label": {"source": {"image": "../../"}}}))
    assert find_shown(where, shared=True).image is not None


def test_an_absolute_path_to_an_image_is_not_followed(image: Path) -> None:
    where = image / "labels" / "cells"
    path = str(image.parent / "private.zarr")
    set_attribute(where, lambda ome: ome.update({"image-label": {"source": {"image": path}}}))
    assert find_shown(where).image is None


def test_a_name_is_found_however_its_accent_is_typed(tmp_path: Path, write_labels: Callable[..., Path]) -> None:
    path = write_labels(tmp_path / "i.zarr", LABELS, names=("c\u00e9lulas",))
    assert list(find_shown(path, labels="ce\u0301lulas").labels) == ["c\u00e9lulas"]


@pytest.mark.parametrize("path", ["../0", "/etc", "0/../../x", "a\\b", "s3://b/0", "0\0", ".", "0//1"])
def test_levels_lie_in_the_store(image: Path, path: str) -> None:
    set_attribute(image, lambda ome: ome["multiscales"][0]["datasets"][0].update(path=path))
    with pytest.raises(InputError, match="leads out of the store"):
        read_info(image)


def test_a_plate_names_no_path_out_of_itself(image: Path) -> None:
    def plate(ome: dict[str, Any]) -> None:
        ome.clear()
        ome["plate"] = {"wells": [{"path": "../../etc; rm -rf x"}]}

    set_attribute(image, plate)
    with pytest.raises(InputError, match=r"is a plate without an image that is there"):
        read_info(image)
