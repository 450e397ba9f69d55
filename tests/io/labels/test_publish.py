"""Publishing is the moment labels exist: all at once, listed beside others, and mended when it was cut off."""

from __future__ import annotations

import errno
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr
from ome_zarr_models import open_ome_zarr

from bigcell.core.box import Box
from bigcell.core.errors import OutputError
from bigcell.io.labels import publish as publishing
from bigcell.io.labels import store_metadata
from bigcell.io.labels.destination import check_target
from bigcell.io.labels.label_store import LabelForm, create_labels
from bigcell.io.labels.publish import publish
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.stores import staged_folder


def built(path, value, *, name="cells", store=None, overwrite=False):
    image = open_image(path)
    target = check_target(store or path, name, image=image, overwrite=overwrite)
    made = create_labels(target, LabelForm(image.extent, image.spacing, image, np.uint32))
    made.write(0, Box.of(image.extent), np.full(image.extent, value, np.uint32))
    return made


def value_of(path):
    return open_image(path).read(Box((0, 0, 0), (1, 1, 1))).item()


def attributes(path):
    return zarr.open_group(path, mode="r").attrs.asdict()


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_names_are_appended(make_store, version):
    path, _ = make_store("zyx", version=version)
    for name in ("b", "a", "c"):
        publish(built(path, 1, name=name), attributes={}, files={})
    publish(built(path, 2, name="a", overwrite=True), attributes={}, files={})
    assert read_info(path).labels == ("b", "a", "c")
    expected = {"labels": ["b", "a", "c"]}
    assert attributes(path / "labels") == (expected if version == "0.4" else {"ome": {"version": "0.5", **expected}})


def test_labels_of_others_stay_and_a_missing_version_is_added(make_store):
    path, _ = make_store("zyx")
    (path / "labels").mkdir()
    theirs = {"ome": {"labels": ["theirs"]}, "note": 1}
    zarr.create_group(path / "labels", zarr_format=3, attributes=theirs)
    make_store("zyx", dtype=np.uint32, name="image.zarr/labels/theirs")
    publish(built(path, 1), attributes={}, files={})
    assert attributes(path / "labels") == {"ome": {"version": "0.5", "labels": ["theirs", "cells"]}, "note": 1}
    open_ome_zarr(path, version="0.5")


def test_records_and_tables_come_along(make_store, tmp_path):
    path, _ = make_store("zyx")
    (tmp_path / "objects.parquet").write_bytes(b"table")
    store = built(path, 1)
    files = {"objects.parquet": tmp_path / "objects.parquet"}
    final = publish(store, attributes={"bigcell": {"plan": "7"}}, files=files)
    assert (final / "objects.parquet").read_bytes() == b"table"
    assert not (tmp_path / "objects.parquet").exists()
    assert attributes(final)["bigcell"] == {"plan": "7"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # side files trouble no reader that asks for nodes by name
        open_ome_zarr(path, version="0.5")
        open_ome_zarr(final, version="0.5")
        open_image(final)


@pytest.fixture
def parts(tmp_path):
    """A table of two parts, made anew by every call."""

    def make(text="new"):
        folder = tmp_path / "work" / "objects.parquet"
        folder.mkdir(parents=True)
        for name in ("part-00000.parquet", "part-00001.parquet"):
            (folder / name).write_text(text)
        return folder

    return make


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_folder_of_parts_comes_along(make_store, parts, monkeypatch, elsewhere):
    path, _ = make_store("zyx")
    store, folder = built(path, 1), parts()
    if elsewhere:  # the work folder is on another disk
        rename = Path.rename

        def refuse(a, b):
            if a.parent.name == "work":
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return rename(a, b)

        monkeypatch.setattr(Path, "rename", refuse)
        (store.target.building / ".objects.parquet.coming").mkdir()  # left by a move that was cut off
    final = publish(store, attributes={}, files={"objects.parquet": folder})
    held = {p.name: p.read_text() for p in (final / "objects.parquet").iterdir()}
    assert held == {"part-00000.parquet": "new", "part-00001.parquet": "new"}
    assert not folder.exists()
    assert not [p for p in final.iterdir() if p.name.endswith(".coming")]
    publish(built(path, 2, overwrite=True), attributes={}, files={"objects.parquet": parts("newer")})
    assert (final / "objects.parquet" / "part-00001.parquet").read_text() == "newer"


def test_a_table_that_has_come_stays_whole(make_store, parts, monkeypatch):
    """Cut off between moving the table and naming the labels, with a late worker that writes one part once more."""
    path, _ = make_store("zyx")
    store, files = built(path, 1), {"objects.parquet": parts()}
    with monkeypatch.context() as cut:
        cut.setattr(publishing, "take_name", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            publish(store, attributes={}, files=files)
    (parts("late") / "part-00000.parquet").unlink()
    final = publish(store, attributes={}, files=files)
    assert [p.read_text() for p in (final / "objects.parquet").iterdir()] == ["new", "new"]


def test_again_is_harmless(make_store, tmp_path):
    path, _ = make_store("zyx")
    store = built(path, 1)
    (tmp_path / "t").write_text("t")
    for _ in range(3):
        final = publish(store, attributes={"bigcell": 1}, files={"t": tmp_path / "t"})
    assert value_of(final) == 1
    assert read_info(path).labels == ("cells",)
    assert sorted(p.name for p in (path / "labels").iterdir()) == ["cells", "zarr.json"]


def test_overwriting_swaps(make_store):
    path, _ = make_store("zyx")
    publish(built(path, 1), attributes={"bigcell": "old"}, files={})
    new = built(path, 2, overwrite=True)
    assert value_of(path / "labels" / "cells") == 1
    final = publish(new, attributes={"bigcell": "new"}, files={})
    assert (value_of(final), attributes(final)["bigcell"]) == (2, "new")
    assert sorted(p.name for p in (path / "labels").iterdir()) == ["cells", "zarr.json"]


def test_labels_that_appeared_meanwhile_are_not_replaced(make_store):
    path, _ = make_store("zyx")
    store = built(path, 1)
    (path / "labels" / "cells").mkdir()
    with pytest.raises(OutputError, match="appeared while the labels were made"):
        publish(store, attributes={}, files={})


STEPS = {
    "_complete": publishing,
    "take_name": publishing,
    "_sweep": staged_folder,
    "retire": Path,
    "rename": Path,
    "_remove_replaced": staged_folder,
    "_list_labels": store_metadata,
    "_show_in_root": store_metadata,
    "_consolidate": store_metadata,
    "unmark": publishing,
}


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "rename twice"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("own", [False, True])
def test_a_publication_cut_off_anywhere_is_mended(make_store, tmp_path, monkeypatch, step, own, exchange):
    if not exchange:  # as file systems that cannot
        monkeypatch.setattr(staged_folder, "exchange", lambda *_: False)
    path, _ = make_store("zyx")
    root = tmp_path / "out.zarr" if own else path
    publish(built(path, 1, store=root), attributes={}, files={})
    store = built(path, 2, store=root, overwrite=True)
    (tmp_path / "t").write_text("t")

    class CutOffError(Exception):
        pass

    def cut(*args):
        raise CutOffError

    with monkeypatch.context() as patch:
        if step in ("retire", "rename"):
            rename, last = Path.rename, "building" if step == "rename" else "cells"
            patch.setattr(Path, "rename", lambda a, b: cut() if a.name.endswith(last) else rename(a, b))
        else:
            patch.setattr(STEPS[step], step, cut)
        if (step != "_show_in_root" or own) and (step not in ("retire", "rename") or not exchange):
            with pytest.raises(CutOffError):
                publish(store, attributes={"bigcell": 2}, files={"t": tmp_path / "t"})
            is_there = (root / "labels" / "cells" / "zarr.json").exists()
            assert is_there or step == "rename", "neither the old labels nor the new ones have the name"
    final = publish(store, attributes={"bigcell": 2}, files={"t": tmp_path / "t"})
    assert (value_of(final), attributes(final)["bigcell"], (final / "t").read_text()) == (2, 2, "t")
    assert sorted(p.name for p in final.parent.iterdir()) == ["cells", "zarr.json"]
    assert read_info(root).labels == ("cells",)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("had", [True, False])
def test_consolidated_metadata_is_refreshed_where_there_was_some(make_store, version, had):
    path, _ = make_store("zyx", version=version)
    if had:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(path, zarr_format=2 if version == "0.4" else 3)
    store = built(path, 1)
    (path.parent / "t").write_text("t")
    publish(store, attributes={}, files={"t": path.parent / "t"})
    if version == "0.4":
        assert (path / ".zmetadata").exists() is had
    else:
        assert (json.loads((path / "zarr.json").read_text()).get("consolidated_metadata") is not None) is had
    group = zarr.open_group(path, mode="r")
    assert group["labels/cells/0"][0, 0, 0] == 1
    assert (group.metadata.consolidated_metadata is not None) is had


def test_bad_requests(make_store, tmp_path):
    path, _ = make_store("zyx")
    store = built(path, 1)
    with pytest.raises(ValueError, match="belong to OME-Zarr"):
        publish(store, attributes={"ome": {}}, files={})
    with pytest.raises(ValueError, match="not a plain file name"):
        publish(store, attributes={}, files={"../x": tmp_path / "x"})
    with pytest.raises(OutputError, match="is missing and was to be kept"):
        publish(store, attributes={}, files={"x": tmp_path / "x"})
    store.target.building.rename(tmp_path / "gone")
    with pytest.raises(OutputError, match="no labels at"):
        publish(store, attributes={}, files={})


def test_labels_that_are_a_link_are_replaced_again_and_again(make_store, tmp_path):
    path, _ = make_store("zyx")
    theirs, _ = make_store("zyx", dtype=np.uint32, name="elsewhere.zarr")
    (path / "labels").mkdir()
    (path / "labels" / "cells").symlink_to(theirs)
    for value in (1, 2):
        assert value_of(publish(built(path, value, overwrite=True), attributes={}, files={})) == value
    assert not (path / "labels" / "cells").is_symlink()
    assert (theirs / "0" / "zarr.json").exists()
    assert sorted(p.name for p in (path / "labels").iterdir()) == ["cells", "zarr.json"]


@pytest.mark.parametrize("planted", [".cells.building", ".cells.old"])
def test_a_planted_link_sends_nothing_elsewhere(make_store, tmp_path, planted):
    path, _ = make_store("zyx")
    private, _ = make_store("zyx", name="private.zarr")
    before = sorted(str(p) for p in private.rglob("*"))
    (path / "labels").mkdir()
    (path / "labels" / planted).symlink_to(private)
    assert value_of(publish(built(path, 1), attributes={}, files={})) == 1
    assert sorted(str(p) for p in private.rglob("*")) == before
    assert sorted(p.name for p in (path / "labels").iterdir()) == ["cells", "zarr.json"]


def test_reading_makes_nothing(make_store):
    """Reading labels that have their name must not make their building place anew."""
    path, _ = make_store("zyx")
    store = built(path, 3)
    final = publish(store, attributes={}, files={})
    assert store.read(0, Box((0, 0, 0), (1, 1, 1))).item() == 3
    with pytest.raises(OutputError, match="no labels being built"):
        store.write(0, Box.of(store.levels[0].extent), np.zeros(store.levels[0].extent, np.uint32))
    assert sorted(p.name for p in final.parent.iterdir()) == ["cells", "zarr.json"]


def test_consolidated_metadata_leave_out_what_is_being_built(make_store):
    path, _ = make_store("zyx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(path, zarr_format=3)
    built(path, 1, name="later")
    publish(built(path, 1), attributes={}, files={})
    known = json.loads((path / "zarr.json").read_text())["consolidated_metadata"]["metadata"]
    assert "labels/cells/0" in known
    assert not any("later" in name for name in known)
