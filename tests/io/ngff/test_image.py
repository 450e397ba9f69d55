"""Any order of axes, both versions, local or http: the same voxels as plain zarr; bad input gives one sentence."""

from __future__ import annotations

import functools
import http.server
import json
import os
import pickle
import re
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.io.ngff.image import open_image, read_info

FULL = "czyx"


def as_czyx(voxels, axes, time=0):
    """The slow plain way from a file's axes to (c, z, y, x)."""
    if "t" in axes:
        voxels = np.take(voxels, time, axis=axes.index("t"))
        axes = axes.replace("t", "")
    for a in FULL:
        if a not in axes:
            voxels, axes = voxels[None], a + axes
    return np.moveaxis(voxels, [axes.index(a) for a in FULL], range(4))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_axes_give_the_voxels_of_plain_zarr(make_store, data):
    chosen = data.draw(st.sets(st.sampled_from("tcz"))) | {"y", "x"}
    axes = "".join(data.draw(st.permutations(sorted(chosen))))
    version, sharded = data.draw(st.sampled_from([("0.4", False), ("0.5", False), ("0.5", True)]))
    shutil.rmtree(make_store.folder / "image.zarr", ignore_errors=True)
    path, voxels = make_store(axes, version=version, sharded=sharded, levels=1)
    time = data.draw(st.integers(0, 1)) if "t" in axes else 0
    volume = open_image(path, time=time)
    plain = as_czyx(voxels, axes, time)
    start = tuple(data.draw(st.integers(0, n - 1)) for n in volume.extent)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, volume.extent, strict=True))
    box = Box(start, stop)
    read = volume.read(box)
    assert volume.extent == plain.shape[1:]
    assert read.flags.c_contiguous
    assert np.array_equal(read, plain[(slice(None), *box.slices)])


@pytest.mark.parametrize("separator", [".", "/"])
def test_both_separators_of_format_2(make_store, separator):
    path, voxels = make_store("zyx", version="0.4", separator=separator)
    assert np.array_equal(open_image(path).read(Box.of((5, 12, 14)))[0], voxels)


def test_info_says_what_the_file_says(make_store):
    path, _ = make_store("tczyx", channels=["DAPI", "actin", "tubulin"])
    info = read_info(str(path) + "/")
    assert (info.version, info.zarr_format, info.axes) == ("0.5", 3, tuple("tczyx"))
    assert info.channels == ("DAPI", "actin", "tubulin")
    assert info.windows == ((1.0, 8.0),) * 3
    assert info.spacing() == Spacing(2.0, 0.5, 0.25)
    assert info.spacing(1) == Spacing(2.0, 1.0, 0.5)
    assert info.extent(1) == (5, 6, 7)
    assert info.labels == ()
    assert info.levels[0].scale == (1, 1, 2, 0.5, 0.25)


@pytest.mark.parametrize(
    ("unit", "z", "known"),
    [("nanometer", 0.002, True), ("µm", 2.0, True), (None, 2.0, False), ("pixel", 2.0, False), ("second", 2.0, False)],
)
def test_units_become_micrometres(make_store, unit, z, known):
    spacing = read_info(make_store("zyx", unit=unit)[0]).spacing()
    assert spacing.z == pytest.approx(z)
    assert spacing.known is known


def test_a_plane_is_a_volume_of_one(make_store):
    volume = open_image(make_store("yx")[0])
    assert volume.extent == (1, 12, 14)
    assert volume.spacing == Spacing(1.0, 0.5, 0.25)


def test_transformations_of_the_whole_pyramid_come_after_those_of_a_level(make_store):
    def edit(attributes):
        entry = attributes["ome"]["multiscales"][0]
        entry["coordinateTransformations"] = [
            {"type": "scale", "scale": [1, 3, 1, 1]},
            {"type": "translation", "translation": [0, 1, 0, 0]},
        ]

    path, _ = make_store("tzyx", edit=edit, translation={"z": 10.0})
    level = read_info(path).levels[0]
    assert level.scale == (1, 6.0, 0.5, 0.25)
    assert level.translation == (0, 31.0, 0, 0)


def test_channels_by_number_and_name_in_any_order(make_store):
    path, voxels = make_store(channels=["DAPI", "actin", "tubulin"])
    for wanted, rows in [(["tubulin", "DAPI"], [2, 0]), ([1], [1]), (["actin", 2], [1, 2]), ([1, 1], [1, 1])]:
        volume = open_image(path, channels=wanted)
        assert volume.channels == tuple(["DAPI", "actin", "tubulin"][i] for i in rows)
        assert np.array_equal(volume.read(Box((1, 2, 3), (3, 5, 9))), voxels[rows, 1:3, 2:5, 3:9])


def test_a_region_is_a_volume_of_its_own(make_store):
    path, voxels = make_store("zyx")
    volume = open_image(path, region=Box((1, 2, 3), (4, 8, 9)))
    assert (volume.extent, volume.offset) == ((3, 6, 6), (1, 2, 3))
    assert np.array_equal(volume.read(Box.of(volume.extent))[0], voxels[1:4, 2:8, 3:9])
    with pytest.raises(ValueError, match="outside"):
        volume.read(Box((0, 0, 0), (4, 6, 6)))


def test_origin_is_translation_and_region_in_micrometres(make_store):
    path, _ = make_store("zyx", unit="nanometer", translation={"z": 1000.0, "x": -500.0})
    volume = open_image(path, region=Box((1, 2, 4), (2, 4, 8)))
    assert volume.origin_um == pytest.approx((1.002, 0.001, -0.499))


def test_a_coarser_level(make_store):
    path, voxels = make_store("zyx")
    volume = open_image(path, level=1)
    assert np.array_equal(volume.read(Box.of(volume.extent))[0], voxels[:, ::2, ::2])


def test_volumes_travel_between_processes(make_store):
    path, _ = make_store()
    volume = open_image(path, channels=[1])
    before = volume.read(Box.of(volume.extent))
    again = pickle.loads(pickle.dumps(volume))
    assert again == volume
    assert np.array_equal(again.read(Box.of(volume.extent)), before)


def test_a_rewritten_image_is_read_anew(make_store):
    path, _ = make_store("zyx", levels=1)
    old = open_image(path)
    old.read(Box.of(old.extent))
    shutil.rmtree(path)
    path, voxels = make_store("zyx", levels=1, sizes={"z": 3}, dtype=np.uint8)
    new = open_image(path)
    assert np.array_equal(new.read(Box.of(new.extent))[0], voxels)
    assert new.identity()["metadata_sha256"] != old.identity()["metadata_sha256"]


def test_identity_is_plain_json(make_store):
    path, _ = make_store(channels=["a", "b", "c"])
    identity = open_image(path, channels=["b"], level=1).identity()
    assert json.loads(json.dumps(identity)) == identity
    assert identity["source"] == str(path)
    assert (identity["channels"], identity["level"], identity["shape"]) == (["b"], 1, [3, 5, 6, 7])
    assert len(identity["metadata_sha256"]) == 64


def test_missing_chunks_are_background(make_store):
    path, voxels = make_store("zyx", levels=1)
    (path / "0" / "c" / "0" / "0" / "0").unlink()
    voxels[:4, :4, :4] = 0
    volume = open_image(path)
    assert np.array_equal(volume.read(Box.of(volume.extent))[0], voxels)


def test_bool_and_foreign_byte_order(make_store):
    path, voxels = make_store("zyx", version="0.4", dtype=np.dtype(">u2"), name="big.zarr")
    volume = open_image(path)
    assert volume.dtype == np.dtype(np.uint16)
    assert volume.dtype.isnative
    assert np.array_equal(volume.read(Box.of(volume.extent))[0], voxels)
    path, voxels = make_store("zyx", dtype=bool, name="bool.zarr")
    read = open_image(path).read(Box.of((5, 12, 14)))
    assert read.dtype == np.uint8
    assert np.array_equal(read[0], voxels.astype(np.uint8))


def test_a_label_group_opens_as_an_image(make_store):
    path, _ = make_store("zyx")
    (path / "labels").mkdir()
    zarr.create_group(path / "labels", zarr_format=3, attributes={"ome": {"version": "0.5", "labels": ["cells"]}})
    _, voxels = make_store("zyx", dtype=np.uint32, name="image.zarr/labels/cells")
    assert read_info(path).labels == ("cells",)
    volume = open_image(path / "labels" / "cells")
    assert np.array_equal(volume.read(Box.of(volume.extent))[0], voxels)
    with pytest.raises(InputError, match="list of label images; name one of them: cells"):
        open_image(path / "labels")


# --- bad input: one sentence each ---


def multiscale(attributes):
    return attributes["ome"]["multiscales"][0]


def edit_level(key, value):
    def edit(attributes):
        multiscale(attributes)["datasets"][0][key] = value

    return edit


def edit_axes(*names):
    def edit(attributes):
        multiscale(attributes)["axes"] = [{"name": n} for n in names]

    return edit


def two_axes(attributes):
    edit_axes("y", "x")(attributes)
    scale([1, 1])(attributes)


def scale(values):
    return edit_level("coordinateTransformations", [{"type": "scale", "scale": values}])


BAD_METADATA = [
    (edit_axes("z", "y"), "axes are z, y, wanted at least y and x"),
    (two_axes, "has 3 dimensions, but 2 axes are named"),
    (edit_axes("q", "y", "x"), "axis 'q' is unknown, wanted t, c, z, y, x"),
    (edit_axes("y", "y", "x"), "the axes y, y, x repeat one"),
    (lambda a: multiscale(a).update(axes=["z", "y", "x"]), "the axes have no names"),
    (lambda a: multiscale(a).pop("axes"), "the axes have no names"),
    (lambda a: multiscale(a).update(datasets=[]), "lists no datasets"),
    (lambda a: multiscale(a).update(datasets=[{}] * 65), "65 levels, wanted at most 64"),
    (edit_level("path", "7"), "level '7' of .* is named in the metadata but is not there"),
    (edit_level("path", "../0"), "leads out of the store"),
    (edit_level("path", "/0"), "leads out of the store"),
    (edit_level("path", 3), "a level names no path"),
    (edit_level("coordinateTransformations", None), "no scale in coordinateTransformations"),
    (edit_level("coordinateTransformations", [{"type": "affine"}]), "no scale in coordinateTransformations"),
    (edit_level("coordinateTransformations", [{"type": "scale", "scale": [1, 1, 1]}, {"type": "affine"}]), "affine"),
    (scale([1, 1]), r"has the scale \[1, 1\], wanted 3 finite numbers"),
    (scale([1, "1", 1]), "wanted 3 finite numbers"),
    (scale([1, float("nan"), 1]), "wanted 3 finite numbers"),
    (scale([1, float("inf"), 1]), "wanted 3 finite numbers"),
    (lambda a: a["ome"].update(version="0.7"), "is OME-Zarr 0.7, wanted 0.4, 0.5 or 0.6"),
    (lambda a: a["ome"].update(multiscales=["x"]), "multiscales holds str, wanted objects"),
    (lambda a: a["ome"].pop("multiscales"), "group without multiscales metadata"),
]


@pytest.mark.parametrize(("edit", "message"), BAD_METADATA)
def test_bad_metadata_gives_one_sentence(make_store, edit, message):
    path, _ = make_store("zyx", levels=1, edit=edit)
    with pytest.raises(InputError, match=message) as caught:
        read_info(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": ["GFP"]}, "channel 'GFP' is not there; .* has 0: DAPI, 1: actin, 2: actin"),
        ({"channels": [3]}, "channel 3 is not there"),
        ({"channels": [-1]}, "channel -1 is not there"),
        ({"channels": ["actin"]}, "channel 'actin' fits more than one"),
        ({"channels": []}, "wanted a list with at least one"),
        ({"channels": "DAPI"}, "wanted a list with at least one"),
        ({"level": 2}, "has 2 levels; level 2 is not one of 0..1"),
        ({"level": -1}, "has 2 levels"),
        ({"time": 1}, "has 1 time points; time 1 is not one of 0..0"),
        ({"region": Box((0, 0, 0), (6, 2, 2))}, r"does not lie in level 0 .* extent \(5, 12, 14\)"),
        ({"region": Box((0, 0, 0), (0, 2, 2))}, "does not lie in level 0"),
        ({"region": Box((0, 0), (2, 2))}, "does not lie in level 0"),
    ],
)
def test_bad_choices_name_what_there_is(make_store, options, message):
    path, _ = make_store(channels=["DAPI", "actin", "actin"])
    with pytest.raises(InputError, match=message):
        open_image(path, **options)


def test_what_is_not_an_image(make_store, tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    (tmp_path / "empty").mkdir()
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "z0.tif").write_bytes(b"")
    path, _ = make_store("zyx")
    zarr.create_array(tmp_path / "lone.zarr", shape=(2, 2), dtype="u1")
    zarr.create_group(tmp_path / "group.zarr")
    for source, message in [
        (tmp_path / "nowhere", "does not exist; check the path"),
        (tmp_path / "a.tif", "is a file, wanted an OME-Zarr folder; .*`bigcell convert .*a.tif .*a.zarr`"),
        (tmp_path / "empty", "folder without zarr metadata"),
        (tmp_path / "pages", "folder of image files, wanted OME-Zarr; .*bigcell convert .*pages .*pages.zarr`"),
        (path / "0", "bare zarr array, .*try its parent"),
        (tmp_path / "lone.zarr", "bare zarr array"),
        (tmp_path / "group.zarr", "without multiscales metadata"),
        ("ftp9://host/a.zarr", "cannot be read"),
    ]:
        with pytest.raises(InputError, match=message):
            read_info(source)


@pytest.mark.parametrize("dtype", [np.complex64, "U4"])
def test_voxels_must_be_numbers(make_store, dtype):
    def edit(attributes):
        root = zarr.open_group(make_store.folder / "image.zarr", mode="a")
        root.create_array("0", shape=(5, 12, 14), chunks=(5, 12, 14), dtype=dtype, overwrite=True)

    path, _ = make_store("zyx", levels=1, version="0.4", edit=edit)
    with pytest.raises(InputError, match=r"has dtype .*, wanted integers or floats"):
        read_info(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": [0, 12, 14]}, "holds no voxel"),
        ({"chunks": [2**20, 2**20, 2**20]}, "more than 4 GiB each"),
        ({"filters": [{"id": "pickle"}]}, "pickle"),
        ({"compressor": {"id": "pickle", "protocol": 5}}, "pickle"),
        ({"dtype": "|O"}, "cannot be opened|has dtype"),
        ({"shape": "many"}, "cannot be opened"),
        ({"shape": [-3, 12, 14]}, "cannot be opened|holds no voxel"),
        ({"compressor": {"id": "no such codec"}}, "cannot be opened"),
    ],
)
def test_hostile_array_metadata_is_refused_before_a_voxel_is_read(make_store, changes, message):
    path, _ = make_store("zyx", version="0.4", levels=1)
    document = json.loads((path / "0" / ".zarray").read_text())
    (path / "0" / ".zarray").write_text(json.dumps({**document, **changes}))
    with pytest.raises(InputError, match=message):
        read_info(path)


def test_broken_json(make_store):
    path, _ = make_store("zyx")
    (path / "0" / "zarr.json").write_text("{")
    with pytest.raises(InputError, match=r"level '0' of .* cannot be opened"):
        read_info(path)
    (path / "zarr.json").write_text("[1")
    with pytest.raises(InputError, match="cannot be opened as zarr"):
        read_info(path)


def test_a_damaged_chunk_is_named(make_store):
    path, _ = make_store("zyx", levels=1)
    (path / "0" / "c" / "0" / "0" / "0").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"the voxels \(0, 0, 0\)..\(1, 1, 1\) of .* cannot be read"):
        open_image(path).read(Box((0, 0, 0), (1, 1, 1)))


# --- over http ---


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that answers byte ranges, as object stores and real web servers do."""

    ranges = True

    def log_message(self, *args):
        pass

    def do_GET(self):
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if not (self.ranges and asked and path.is_file()):
            return super().do_GET()
        content = path.read_bytes()
        start = int(asked[1]) if asked[1] else len(content) - int(asked[2])
        stop = int(asked[2]) + 1 if asked[1] and asked[2] else len(content)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{min(stop, len(content)) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content[start:stop])))
        self.end_headers()
        self.wfile.write(content[start:stop])
        return None


class NoRanges(Quiet):
    ranges = False


@pytest.fixture(params=[Quiet])
def served(tmp_path, request):
    handler = functools.partial(request.param, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_reading_over_http(make_store, served, version):
    _, voxels = make_store(version=version, sharded=version == "0.5")
    volume = open_image(f"{served}/image.zarr/", channels=[1])
    assert np.array_equal(volume.read(Box((1, 2, 3), (4, 9, 11))), voxels[1:2, 1:4, 2:9, 3:11])
    assert volume.identity()["source"] == f"{served}/image.zarr"


@pytest.mark.parametrize("served", [NoRanges], indirect=True)
def test_a_server_without_byte_ranges_cannot_serve_shards(make_store, served):
    make_store("zyx", sharded=True)
    volume = open_image(f"{served}/image.zarr")
    with pytest.raises(InputError, match="on a server that gives no byte ranges"):
        volume.read(Box((0, 0, 0), (2, 2, 2)))


def test_http_problems_are_sentences_without_secrets(served):
    with pytest.raises(InputError, match=r"there is no zarr group at .*check the address"):
        read_info(f"{served}/nothing.zarr")
    with pytest.raises(InputError, match="cannot be opened as zarr") as caught:
        read_info("http://me:secret@127.0.0.1:1/a.zarr")
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="was given with a query") as caught:
        read_info(f"{served}/a.zarr?token=secret")
    assert "secret" not in str(caught.value)


def test_s3_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(InputError, match=r"s3://bucket/a.zarr needs a package .*bigcell\[s3\]"):
        read_info("s3://bucket/a.zarr")


# --- a real plate ---


@pytest.mark.data
def test_a_real_field(real_data):
    plate = real_data / "stores" / "plate.ome.zarr"
    with pytest.raises(InputError, match=r"is a plate, .*plate.ome.zarr/B/03/0"):
        open_image(plate)
    volume = open_image(plate / "B" / "03" / "0", level=3, channels=["DAPI"])
    assert volume.extent == (2, 135, 320)
    assert volume.spacing == Spacing(1.0, 2.6, 2.6)
    assert volume.info.labels == ("nuclei",)
    assert volume.info.windows == ((110.0, 800.0),)
    stored = zarr.open_array(plate / "B" / "03" / "0" / "4", mode="r")[:]
    assert np.array_equal(volume.read(Box.of(volume.extent)), stored)
    assert stored.max() > 0
    assert open_image(plate / "B/03/0/labels/nuclei").dtype == np.uint32


def test_relative_and_file_addresses(make_store, tmp_path, monkeypatch):
    path, _ = make_store("zyx")
    monkeypatch.chdir(tmp_path)
    assert read_info("image.zarr").source == str(path)
    assert read_info(f"file://{path}").source == str(path)
    assert os.path.isabs(read_info("./image.zarr").source)
