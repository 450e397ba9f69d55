"""Images read from S3 and labels written to it, with a simulated server: the same as on disk, and never half there."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest

import bigcell
from bigcell.cli.app import app
from bigcell.core.box import Box
from bigcell.core.errors import InputError, OutputError
from bigcell.engine.runs import run_folder
from bigcell.engine.runs.ended import read_record
from bigcell.engine.runs.work_folder import work_folder
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.stores.location import read_bytes
from bigcell.io.stores.remote import fetch, keys_below, upload
from bigcell.report.page import facts_in

BLOCK = {"block": (20, 36, 24)}
WHOLE = Box.of((20, 36, 44))
GROUP = ("zarr.json", "record.json", "report.html")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Runs over object stores work in the current folder."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def levels(found):
    """The arrays of labels, without the group and side files that tell times."""
    return {name: held for name, held in found.items() if name not in GROUP}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_voxels_of_an_image_in_a_bucket(store, tmp_path, bucket, copy_up, version):
    values = np.random.default_rng(1).integers(0, 999, (2, 40, 50, 60), np.uint16)
    url = copy_up(store(tmp_path / "image.zarr", values, version=version, levels=2), f"{bucket}/deep/image.zarr")
    volume = open_image(f"{url}/", channels=[1])
    box = Box((3, 10, 20), (40, 50, 41))
    assert np.array_equal(volume.read(box), values[1:, 3:, 10:, 20:41])
    assert volume.identity()["source"] == url
    assert volume.info.version == version


def test_labels_in_a_bucket_are_those_on_disk(flow_store, tmp_path, bucket, here, copy_up, all_objects, all_files):
    url = copy_up(flow_store, f"{bucket}/flows.zarr")
    local = bigcell.segment(flows=flow_store, output=tmp_path / "l.zarr", workers=1, **BLOCK)
    far = bigcell.segment(flows=url, output=f"{bucket}/l.zarr", workers=1, **BLOCK)
    assert far.path == f"{bucket}/l.zarr/labels/cells"
    assert far.objects == local.objects > 10
    assert levels(all_objects(far.path)) == levels(all_files(local.path))
    assert "objects.parquet/part-00000.parquet" in all_objects(far.path)
    assert not any(".building" in key or ".writable" in key for key in keys_below(f"{bucket}/l.zarr"))
    assert list(here.iterdir()) == []
    shown = read_info(f"{bucket}/l.zarr")  # any path into the store opens
    assert shown.labels == ("cells",)
    assert "testsecret" not in read_bytes(f"{far.path}/record.json").decode()
    assert "testkey" not in read_bytes(f"{far.path}/record.json").decode()
    page = read_bytes(f"{far.path}/report.html").decode()
    assert facts_in(page).state == "finished"
    assert "testsecret" not in page
    assert "testkey" not in page


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_in_the_images_own_store(store, lattice, tmp_path, bucket, here, copy_up, version):
    import zarr

    flows = store(tmp_path / "f.zarr", lattice.read(Box.of(lattice.extent)), version=version)
    if version == "0.5":
        with pytest.warns(UserWarning, match="[Cc]onsolidated"):
            zarr.consolidate_metadata(flows)
    else:
        zarr.consolidate_metadata(flows, zarr_format=2)
    url = copy_up(flows, f"{bucket}/f.zarr")
    first = bigcell.segment(flows=url, workers=1, **BLOCK)
    second = bigcell.segment(flows=url, labels="more", min_size=900, workers=1, **BLOCK)
    assert second.objects < first.objects
    assert read_info(url).labels == ("cells", "more")
    assert read_info(first.path).version == version
    document = "zarr.json" if version == "0.5" else ".zmetadata"
    assert "labels/more" in read_bytes(f"{url}/{document}").decode()  # what was consolidated is so still


def test_labels_are_replaced_in_one_step(flow_store, bucket, here, copy_up, monkeypatch):
    url = copy_up(flow_store, f"{bucket}/f.zarr")
    place = f"{bucket}/l.zarr"
    before = bigcell.segment(flows=url, output=place, workers=1, **BLOCK)
    with pytest.raises(OutputError, match="exists already; choose another name, or allow overwriting"):
        bigcell.segment(flows=url, output=place, workers=1, **BLOCK)
    old = open_image(before.path).read(WHOLE)
    upload(b"a longer table's", f"{before.path}/objects.parquet/part-00001.parquet")
    upload(b"a table as it was once", f"{before.path}/objects.parquet")
    with monkeypatch.context() as patched:
        patched.setattr(run_folder, "publish", _fail)
        with pytest.raises(RuntimeError, match="cut off"):
            bigcell.segment(flows=url, output=place, overwrite=True, min_size=900, workers=1, **BLOCK)
    assert np.array_equal(open_image(before.path).read(WHOLE), old)
    again = bigcell.resume(place, workers=1)
    assert again.objects < before.objects
    info = read_info(again.path)
    assert [level.path for level in info.levels] == ["v2/0", "v2/1"]
    assert {key.partition("/")[0] for key in keys_below(again.path)} == {"v2", "objects.parquet", *GROUP}
    assert [key for key in keys_below(again.path) if "parquet" in key] == ["objects.parquet/part-00000.parquet"]
    third = bigcell.segment(flows=url, output=place, overwrite=True, workers=1, **BLOCK)
    assert [level.path for level in read_info(third.path).levels] == ["v3/0", "v3/1"]
    assert np.array_equal(open_image(third.path).read(WHOLE), old)
    assert read_info(place).labels == ("cells",)
    assert read_info(place).levels[0].path == "labels/cells/v3/0"


def _fail(*_, **__):
    raise RuntimeError("cut off")


def test_a_run_that_is_cut_off_leaves_nothing_that_looks_like_labels(
    flow_store, tmp_path, bucket, here, copy_up, all_objects, all_files, monkeypatch
):
    url, place = copy_up(flow_store, f"{bucket}/f.zarr"), f"{bucket}/l.zarr"
    local = bigcell.segment(flows=flow_store, output=tmp_path / "l.zarr", workers=1, **BLOCK)
    with monkeypatch.context() as patched:
        patched.setattr(run_folder, "publish", _fail)
        with pytest.raises(RuntimeError, match="cut off"):
            bigcell.segment(flows=url, output=place, workers=1, **BLOCK)
    assert any(key.startswith("labels/cells/0/") for key in keys_below(place))  # chunks are there
    with pytest.raises(InputError, match="there is no zarr group"):
        read_info(f"{place}/labels/cells")
    with pytest.raises(OutputError, match="by a run that has not finished: continue it with `bigcell resume"):
        bigcell.segment(flows=url, output=place, work=tmp_path, workers=1, **BLOCK)
    with pytest.raises(OutputError, match=r"there is no unfinished run at .* say by --work where it is"):
        bigcell.resume(place, work=tmp_path, workers=1)
    done = bigcell.resume(place, workers=1)
    assert levels(all_objects(done.path)) == levels(all_files(local.path))
    assert {name: about["run"] for name, about in done.stages.items()} == dict.fromkeys(done.stages, 0)
    assert bigcell.resume(place, workers=1).objects == done.objects  # of a finished run: its record


@pytest.mark.parametrize(
    "cut", [("remote_labels", "_copy_group"), ("remote_labels", "_clean_up"), ("publish", "make_known")]
)
def test_a_publication_cut_off_anywhere_is_mended(flow_store, bucket, here, copy_up, monkeypatch, cut):
    url, place = copy_up(flow_store, f"{bucket}/f.zarr"), f"{bucket}/l.zarr"
    with monkeypatch.context() as patched:
        patched.setattr(importlib.import_module(f"bigcell.io.labels.{cut[0]}"), cut[1], _fail)
        with pytest.raises(RuntimeError, match="cut off"):
            bigcell.segment(flows=url, output=place, workers=1, **BLOCK)
    done = bigcell.resume(place, workers=1)
    assert read_info(place).labels == ("cells",)
    assert not any(".building" in key for key in keys_below(place))
    assert read_record(done.path).result["objects"] == done.objects


def test_leftovers_of_a_run_that_was_given_up_are_cleared(flow_store, bucket, here, copy_up):
    url, place = copy_up(flow_store, f"{bucket}/f.zarr"), f"{bucket}/l.zarr"
    done = bigcell.segment(flows=url, output=f"{bucket}/other.zarr", workers=1, **BLOCK)
    upload(b"{}", f"{place}/labels/cells/0/c/9/9/9")
    upload(json.dumps({"zarr_format": 3, "node_type": "group"}).encode(), f"{place}/zarr.json")
    with pytest.raises(OutputError, match="neither the image's own nor one made for labels"):
        bigcell.segment(flows=url, output=place, workers=1, **BLOCK)
    upload(fetch(f"{bucket}/other.zarr/zarr.json"), f"{place}/zarr.json")
    again = bigcell.segment(flows=url, output=place, workers=1, **BLOCK)
    assert again.objects == done.objects
    assert fetch(f"{place}/labels/cells/0/c/9/9/9") is None


def test_rerun_from_a_record_in_a_bucket(flow_store, bucket, here, copy_up):
    url = copy_up(flow_store, f"{bucket}/f.zarr")
    first = bigcell.segment(flows=url, output=f"{bucket}/l.zarr", workers=1, **BLOCK)
    again = bigcell.rerun(first.path, labels="again", workers=1)
    assert again.path == f"{bucket}/l.zarr/labels/again"
    assert again.counts["labels_sha256"] == first.counts["labels_sha256"]


def test_where_a_run_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, other = (work_folder(f"s3://{b}/l.zarr/", "cells") for b in ("a", "b"))
    assert one != other
    assert one.parent.parent == other.parent.parent == tmp_path
    assert one == work_folder("s3://a/l.zarr", "cells")
    assert work_folder("s3://a/l.zarr", "cells", "x").parent.parent == tmp_path / "x"
    assert work_folder(tmp_path / "l.zarr", "cells") == tmp_path / "l.zarr.bigcell" / "cells"


def test_places_where_labels_cannot_go(flow_store, bucket, here, copy_up):
    url = copy_up(flow_store, f"{bucket}/f.zarr")
    upload(b"x", f"{bucket}/full/note.txt")
    for place, message in [
        ("https://host/l.zarr", "cannot be written to the URL https://host/l.zarr; give a local path, s3:// or gs://"),
        (f"{bucket}/full", "exists and is not a zarr group"),
        ("s3://nowhere-at-all/l.zarr", "there is no such bucket"),
        ("s3://key:secret@bucket/l.zarr", "holds a key"),
    ]:
        with pytest.raises(OutputError, match=message) as caught:
            bigcell.segment(flows=url, output=place, workers=1, **BLOCK)
        assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="there is no such bucket"):
        open_image("s3://nowhere-at-all/f.zarr")


def test_a_server_that_goes_away_leaves_a_run_that_can_go_on(flow_store, bucket, here, copy_up, monkeypatch):
    from bigcell.io.stores import remote

    url, place = copy_up(flow_store, f"{bucket}/f.zarr"), f"{bucket}/l.zarr"
    volume = open_image(url)
    with monkeypatch.context() as away:
        away.setattr(remote, "LATER", remote.FIRST)
        away.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises((ConnectionError, InputError), match="the server cannot be reached"):
            volume.read(Box((0, 0, 0), (4, 4, 4)))
    assert bigcell.segment(flows=url, output=place, workers=1, **BLOCK).objects > 10


def test_the_command_line_tells_of_urls_as_of_paths(flow_store, bucket, here, copy_up, capsys):
    url, place = copy_up(flow_store, f"{bucket}/f.zarr"), f"{bucket}/l.zarr"
    words = ["segment", "--flows", url, "--output", place, "--work", "w", "--workers", "1", "--block", "20,36,44"]
    assert say(words) == 0
    told = capsys.readouterr().out
    assert f"labels   {place}/labels/cells\n" in told
    assert f"table    {place}/labels/cells/objects.parquet\n" in told
    assert "bigcell view" not in told  # a view is made of local folders
    assert not (here / "w").exists()
    assert say(["inspect", place]) == 0
    assert f"labels    cells: {told.split()[0]} objects" in capsys.readouterr().out
    assert say([*words, "--labels", "b", "--picture", "p.png"]) == 2
    assert "--picture is drawn from labels on a disk" in capsys.readouterr().err


def say(words):
    with pytest.raises(SystemExit) as ended:
        app(words)
    return ended.value.code
