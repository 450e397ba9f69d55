"""Where labels may go is settled before any work; each refusal says why."""

from __future__ import annotations

import os

import numpy as np
import pytest
import zarr

from bigcell.core.errors import OutputError
from bigcell.io.labels.destination import check_target, final_path, label_name
from bigcell.io.ngff.image import open_image


def test_own_store_or_the_images(make_store, tmp_path):
    path, _ = make_store(version="0.4")
    image = open_image(path)
    inside = check_target(f"{path}/", "cells", image=image, overwrite=False)
    assert (inside.own, inside.version) == (False, "0.4")
    assert final_path(inside) == path / "labels" / "cells"
    apart = check_target(tmp_path / "new.zarr", "cells", image=image, overwrite=False)
    assert (apart.own, apart.version) == (True, "0.5")
    assert not (tmp_path / "new.zarr").exists()
    assert not (path / "labels").exists()


@pytest.mark.parametrize(
    "left", ["", ".zarr.json.coming", "labels/.bigcell.lock", "labels/.cells.lease", "labels/.cells.lease.soft"]
)
def test_what_killed_drivers_left_is_not_in_the_way(tmp_path, left):
    place = tmp_path / "new.zarr" / left
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch() if left else place.mkdir()
    assert check_target(tmp_path / "new.zarr", "cells", image=None, overwrite=False).own


@pytest.mark.parametrize("there", ["a.txt", "zarr.json.coming", "labels/notes.txt", "labels.lease", "other/.a.lease"])
def test_what_is_somebodys_is_in_the_way(tmp_path, there):
    place = tmp_path / "new.zarr" / there
    place.parent.mkdir(parents=True)
    place.touch()
    with pytest.raises(OutputError, match="exists and is not a zarr group"):
        check_target(tmp_path / "new.zarr", "cells", image=None, overwrite=False)


def test_a_link_to_the_image_is_the_image(make_store, tmp_path):
    path, _ = make_store()
    (tmp_path / "link.zarr").symlink_to(path)
    assert not check_target(tmp_path / "link.zarr", "cells", image=open_image(path), overwrite=False).own


@pytest.mark.parametrize("name", ["", "..", "a/b", "a..b", ".hidden", "a\\b", "_x", " a", "a ", "a\nb", "-rf"])
def test_names_that_could_hurt(make_store, name):
    path, _ = make_store()
    with pytest.raises(OutputError, match="cannot name labels"):
        check_target(path, name, image=None, overwrite=False)


@pytest.mark.parametrize("name", ["cells", "cells 2", "Zellen_ä", "run-1.2", "cyto (new)"])
def test_names_that_people_use(tmp_path, name):
    assert check_target(tmp_path / "o.zarr", name, image=None, overwrite=False).name == name


def test_existing_labels_need_leave(make_store):
    path, _ = make_store()
    image = open_image(path)
    (path / "labels" / "cells").mkdir(parents=True)
    with pytest.raises(OutputError, match="exists already; choose another name, or allow overwriting"):
        check_target(path, "cells", image=image, overwrite=False)
    assert check_target(path, "cells", image=image, overwrite=True).overwrite


def test_places_that_are_something_else(make_store, tmp_path):
    path, _ = make_store()
    other, _ = make_store(name="other.zarr")
    (tmp_path / "note.txt").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("x")
    zarr.create_array(tmp_path / "lone.zarr", shape=(2,), dtype=np.uint8)
    image = open_image(path)
    for store, message in [
        ("https://host/out.zarr", "cannot be written to the URL"),
        (tmp_path / "note.txt", "is a file, wanted a folder"),
        (tmp_path / "note.txt" / "out.zarr", "is a file, wanted a folder"),
        (tmp_path / "full", "exists and is not a zarr group"),
        (tmp_path / "lone.zarr", "exists and is not a zarr group"),
        (other, "neither the image's own nor one made for labels"),
    ]:
        with pytest.raises(OutputError, match=message):
            check_target(store, "cells", image=image, overwrite=False)


def test_versions_that_contradict_the_zarr_format(make_store):
    def edit(attributes):
        ome = attributes.pop("ome")
        ome.pop("version")
        attributes.update(ome)

    path, _ = make_store(edit=edit)
    image = open_image(path)
    assert (image.info.version, image.info.zarr_format) == ("0.4", 3)
    with pytest.raises(OutputError, match=r"0\.4 in zarr format 3, which no version allows"):
        check_target(path, "cells", image=image, overwrite=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folders(make_store):
    path, _ = make_store()
    path.chmod(0o555)
    try:
        with pytest.raises(OutputError, match="is read-only"):
            check_target(path, "cells", image=open_image(path), overwrite=False)
    finally:
        path.chmod(0o755)


def test_read_only_is_asked_of_the_nearest_folder(make_store, monkeypatch):
    path, _ = make_store()
    image = open_image(path)
    asked = []
    monkeypatch.setattr(os, "access", lambda folder, mode: asked.append(folder))
    with pytest.raises(OutputError, match="is read-only; give another path"):
        check_target(path, "cells", image=image, overwrite=False)
    assert asked == [path]


COMPOSED, DECOMPOSED = "c\u00e9lulas", "ce\u0301lulas"


@pytest.mark.parametrize(
    "name",
    [
        "zarr.json",
        "Zarr.JSON",
        "plan.json",
        "record.json",
        "objects.parquet",
        "report.html",
        "a.partial",
        "a.BUILDING",
        "a.old",
        "a.coming",
        "a.lease",
        "a.lock",
    ],
)
def test_names_that_a_store_or_a_run_has_for_itself(make_store, name):
    path, _ = make_store()
    with pytest.raises(OutputError, match="cannot name labels: files"):
        check_target(path, name, image=open_image(path), overwrite=False)


@pytest.mark.parametrize("letter", ["a", "\u00e9", "\u8a9e", "\U00020000"])
def test_a_name_leaves_room_for_what_is_put_around_it_while_it_is_made(tmp_path, letter):
    most = letter * (200 // len(letter.encode()))
    assert len(check_target(tmp_path / "o.zarr", most, image=None, overwrite=False).building.name.encode()) < 220
    with pytest.raises(OutputError, match="wanted at most 200 as a name of labels; shorten it"):
        check_target(tmp_path / "o.zarr", most + letter, image=None, overwrite=False)


def test_a_store_for_labels_leaves_room_for_the_folder_of_its_run(tmp_path):
    check_target(tmp_path / ("a" * 230), "cells", image=None, overwrite=False)
    with pytest.raises(OutputError, match="at most 230"):
        check_target(tmp_path / ("a" * 231), "cells", image=None, overwrite=False)


def test_an_accent_is_part_of_its_letter_however_it_is_typed(tmp_path):
    assert check_target(tmp_path / "o.zarr", DECOMPOSED, image=None, overwrite=False).name == COMPOSED
    assert label_name("q\u0307") == "q\u0307"  # a letter that has no spelling of its own with this accent
    assert label_name("\u0928\u093f") == "\u0928\u093f"  # nor have vowels of Devanagari
    with pytest.raises(OutputError, match="cannot name labels"):
        label_name("\u0301a")
