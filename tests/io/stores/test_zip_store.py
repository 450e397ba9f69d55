"""OME-Zarr in a zip: read as the folder is, wherever a path is taken; written as RFC-9 says; never written into."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
from ome_zarr_models.v05 import Image
from typer.testing import CliRunner
from zarr.storage import ZipStore

import bigcell
from bigcell import api
from bigcell.cli.app import app
from bigcell.core.box import Box
from bigcell.core.errors import ChunkError, InputError, OutputError, PlanError, SettingsError
from bigcell.core.volume import ArrayVolume
from bigcell.io.formats.convert import convert
from bigcell.io.labels.write_labels import write_labels
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.ngff.write_image import write_image
from bigcell.io.stores import zip_store
from bigcell.testing.disturbed import Stopping
from bigcell.testing.files import files_of
from bigcell.viewers.fileserver import FileServer

VOXELS = np.random.default_rng(0).integers(0, 900, (2, 6, 20, 30)).astype(np.uint16)
LABELS = np.arange(6 * 20 * 30, dtype=np.uint32).reshape(6, 20, 30) // 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = Path(write_image(tmp_path / "a.zarr", ArrayVolume(VOXELS), chunk=(6, 10, 10), shard=(6, 20, 20)))
    write_labels(path, LABELS)
    return path


def zip_up(
    folder: Path, into: Path, *, how: int = zipfile.ZIP_STORED, below: str = "", last_first: bool = False
) -> Path:
    """As people zip a folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    with zipfile.ZipFile(into, "w", how) as archive:
        for file in reversed(files) if last_first else files:
            archive.write(file, f"{below}{file.relative_to(folder)}")
    return into


def voxels(source: str | Path) -> np.ndarray:
    volume = open_image(source)
    return volume.read(Box.of(volume.extent))


def test_one_that_we_wrote(folder: Path, tmp_path: Path) -> None:
    """Documents first and near the root first, nothing compressed, entries that may be large, and a comment."""
    path = convert(folder, tmp_path / "a.ozx")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert json.loads(archive.comment)["ome"] == {
            "version": "0.5",
            "zipFile": {"centralDirectory": {"jsonFirst": True}},
        }
    documents = [name for name in names if name.endswith("zarr.json")]
    assert names[: len(documents)] == documents
    assert documents[0] == "zarr.json"
    assert [d.count("/") for d in documents] == sorted(d.count("/") for d in documents)
    assert set(names) == {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert (voxels(path) == VOXELS).all()
    assert (voxels(path / "labels" / "cells")[0] == LABELS).all()
    with ZipStore(path, mode="r") as store:
        Image.from_zarr(__import__("zarr").open_group(store, mode="r"))


def test_twice_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    one, two = convert(folder, tmp_path / "1.ozx"), convert(folder, tmp_path / "2.ozx")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_others_that_people_have(tmp_path: Path, how: int, version: str) -> None:
    """Compressed, with entries in any order, and of the older version, which the RFC does not speak of."""
    folder = write_image(tmp_path / "a.zarr", ArrayVolume(VOXELS), version=version)
    path = zip_up(folder, tmp_path / "a.zip", how=how, last_first=True)
    assert (voxels(path) == VOXELS).all()
    assert read_info(path).spacing() == read_info(folder).spacing()


def test_a_folder_in_a_zip(folder: Path, tmp_path: Path) -> None:
    path = zip_up(folder, tmp_path / "a.zip", below="my stack.zarr/")
    with pytest.raises(InputError, match=r"no zarr group at .*a\.zip .*; there is one in it: .*a\.zip/my stack\.zarr"):
        read_info(path)
    assert (voxels(path / "my stack.zarr") == VOXELS).all()


def test_a_folder_called_so_is_a_folder(folder: Path, tmp_path: Path) -> None:
    assert (voxels(folder.rename(tmp_path / "b.ozx")) == VOXELS).all()


@pytest.mark.parametrize(("given", "made"), [("a.tif", "tif"), ("a.zarr", "0.4"), ("a.zarr", "0.5")])
def test_what_cannot_go_in_as_it_is_is_written_anew(tmp_path: Path, given: str, made: str) -> None:
    if made == "tif":
        tifffile.imwrite(tmp_path / given, VOXELS[0], metadata={"axes": "ZYX"})
    else:
        write_image(tmp_path / given, ArrayVolume(VOXELS[:1]), version=made)
    path = convert(tmp_path / given, tmp_path / "a.ozx", spacing_um=(3, 1, 1))
    assert read_info(path).spacing().z == 3
    assert (voxels(path) == VOXELS[:1]).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([given, "a.ozx"])


def test_and_back(folder: Path, tmp_path: Path) -> None:
    path = convert(convert(folder, tmp_path / "a.ozx"), tmp_path / "b.zarr")
    assert (voxels(path) == VOXELS).all()


@pytest.mark.parametrize(
    ("output", "options", "said"),
    [
        ("a.ozx", {"version": "0.4"}, "a zip holds OME-Zarr 0.5"),
        ("no/a.ozx", {}, "is not a folder; make it first"),
        ("there.ozx", {}, "exists already"),
        ("there.ozx", {"overwrite": True}, "is not a zip, so it will not be overwritten"),
        ("s3://bucket/a.ozx", {}, "cannot be written to the URL"),
    ],
)
def test_places_that_are_refused(folder: Path, tmp_path: Path, output: str, options: dict, said: str) -> None:
    (tmp_path / "there.ozx").write_text("precious")
    place = output if "://" in output else tmp_path / output
    with pytest.raises((OutputError, SettingsError), match=said):
        convert(folder, place, **options)
    assert (tmp_path / "there.ozx").read_text() == "precious"


def test_an_older_zip_is_replaced_when_the_new_one_is_whole(folder: Path, tmp_path: Path) -> None:
    path = convert(folder, tmp_path / "a.ozx")
    before = path.read_bytes()
    (folder / "0" / "zarr.json").unlink()
    with pytest.raises(InputError):
        convert(folder, path, overwrite=True)
    assert path.read_bytes() == before
    tifffile.imwrite(tmp_path / "b.tif", VOXELS[0] + 1, metadata={"axes": "ZYX"})
    assert (voxels(convert(tmp_path / "b.tif", path, overwrite=True)) == VOXELS[:1] + 1).all()


def test_a_volume_travels_to_other_processes(folder: Path, tmp_path: Path) -> None:
    volume = open_image(convert(folder, tmp_path / "a.ozx"), channels=[1])
    again = pickle.loads(pickle.dumps(volume))
    assert (again.read(Box.of(again.extent)) == VOXELS[1:]).all()
    store = pickle.loads(pickle.dumps(zip_store.zip_store(str(tmp_path / "a.ozx"))))
    assert store == zip_store.zip_store(str(tmp_path / "a.ozx"))


def test_labels_go_elsewhere(flow_store: Path, tmp_path: Path) -> None:
    """And are those of the folder."""
    path = convert(flow_store, tmp_path / "flows.ozx")
    held = path.read_bytes()
    with pytest.raises(OutputError, match=r"is a zip, into which nothing is written; give a place for the labels"):
        bigcell.segment(flows=path, cluster="serial")
    with pytest.raises(OutputError, match="is a zip"):
        bigcell.segment(flows=path, output=path, cluster="serial")
    made = bigcell.segment(flows=path, output=tmp_path / "o.zarr", cluster="serial")
    plain = bigcell.segment(flows=flow_store, output=tmp_path / "p.zarr", cluster="serial")
    assert files_of(made.path / "0") == files_of(plain.path / "0")
    assert path.read_bytes() == held
    assert bigcell.evaluate(made.path, plain.path).scores.at[0].matched == made.objects


def test_voxels_that_change_under_a_run_are_refused(
    flow_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = convert(flow_store, tmp_path / "flows.ozx"), tmp_path / "o.zarr"
    with monkeypatch.context() as patched:
        patched.setattr(api, "choose_executor", lambda *_: Stopping(2))
        with pytest.raises(KeyboardInterrupt):
            bigcell.segment(flows=path, output=out, block=(36, 60, 34))
    chunk = next(p for p in sorted((flow_store / "0").rglob("*")) if p.is_file() and p.name != "zarr.json")
    held = chunk.read_bytes()
    chunk.unlink()
    convert(flow_store, path, overwrite=True)
    with pytest.raises(PlanError, match=r"put it back|changed"):
        bigcell.resume(out, cluster="serial")
    chunk.write_bytes(held)
    convert(flow_store, path, overwrite=True)
    assert bigcell.resume(out, cluster="serial").objects > 0


@pytest.mark.parametrize("verb", ["inspect", "plan"])
def test_doors(folder: Path, tmp_path: Path, verb: str) -> None:
    path = convert(folder, tmp_path / "a.ozx")
    done = CliRunner().invoke(app, [verb, str(path), *(["--diameter", "10"] if verb == "plan" else [])])
    assert (done.exit_code, done.stderr) == (0, "")


def spoiled(path: Path, what: str) -> Path:
    """A zip that is none, or not whole."""
    content = path.read_bytes()
    if what == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif what == "no zip":
        path.write_bytes(b"PK\3\4 nothing")
    elif what == "empty":
        zipfile.ZipFile(path, "w").close()
    elif what == "claims":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("zarr.json", "{}")
            archive.infolist()[-1].file_size = 2**50
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("what", "said"),
    [("cut", "cannot be read as a zip"), ("no zip", "cannot be read as a zip"), ("empty", "there is no zarr group")],
)
def test_what_is_no_whole_zip(folder: Path, tmp_path: Path, what: str, said: str) -> None:
    path = spoiled(convert(folder, tmp_path / "a.ozx"), what)
    with pytest.raises(InputError, match=said):
        read_info(path)
    with pytest.raises(InputError, match=said):
        convert(path, tmp_path / "b.zarr")


def test_a_document_that_claims_too_much(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = convert(folder, tmp_path / "a.ozx")
    monkeypatch.setattr(zip_store, "LARGEST_DOCUMENT", 100)
    with pytest.raises(InputError, match=r"zarr\.json in .* has \d+ bytes, more than any file of an image"):
        read_info(path)


def test_a_chunk_that_is_damaged_is_named(folder: Path, tmp_path: Path) -> None:
    path = convert(folder, tmp_path / "a.ozx")
    with zipfile.ZipFile(path) as archive:
        entry = max(archive.infolist(), key=lambda e: e.file_size)
    content = bytearray(path.read_bytes())
    content[entry.header_offset + 120] ^= 255
    path.write_bytes(content)
    with pytest.raises(ChunkError, match="cannot be read"):
        voxels(path)


def test_names_in_a_zip_lead_nowhere(folder: Path, tmp_path: Path) -> None:
    """Nothing is unpacked; and what is asked of the server is looked up in the zip alone."""
    path = convert(folder, tmp_path / "a.ozx")
    (tmp_path / "private").write_text("precious")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../planted", "x")
    assert (voxels(path) == VOXELS).all()
    with FileServer({"a": path}) as server:
        assert asked(server.address("a") + "zarr.json") == (folder / "zarr.json").read_bytes()
        assert asked(server.address("a") + "0/zarr.json", "bytes=2-5") == (folder / "0/zarr.json").read_bytes()[2:6]
        for inside in ("../private", "%2e%2e/private", "nothing", "0"):
            with pytest.raises(OSError, match="404"):
                asked(server.address("a") + inside)
    assert not (tmp_path / "planted").exists()


def asked(url: str, part: str = "") -> bytes:
    from urllib.request import Request, urlopen

    with urlopen(Request(url, headers={"Range": part} if part else {}), timeout=60) as answer:
        return bytes(answer.read())


@contextmanager
def web(folder: Path) -> Iterator[str]:
    """A server of ranges."""
    with FileServer({"there": folder}) as server:
        yield server.address("there").rstrip("/")


def test_one_on_a_web_server(flow_store: Path, tmp_path: Path) -> None:
    """Read in ranges; labels are those of the folder."""
    (tmp_path / "web").mkdir()
    convert(flow_store, tmp_path / "web" / "flows.ozx")
    plain = bigcell.segment(flows=flow_store, output=tmp_path / "p.zarr", cluster="serial")
    with web(tmp_path / "web") as address:
        assert read_info(f"{address}/flows.ozx").spacing() == read_info(flow_store).spacing()
        made = bigcell.segment(flows=f"{address}/flows.ozx", output=tmp_path / "o.zarr", cluster="serial")
        with pytest.raises(InputError, match="there is nothing at"):
            read_info(f"{address}/none.ozx")
    assert files_of(made.path / "0") == files_of(plain.path / "0")
