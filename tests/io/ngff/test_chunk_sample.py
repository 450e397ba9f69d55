"""A sample of an image's files tells its changes, and takes a copy for the same: on disk, in a bucket, on a server."""

from __future__ import annotations

import os
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import zarr

from bigcell.core.box import Box
from bigcell.core.errors import ChunkError
from bigcell.io.ngff import chunk_sample
from bigcell.io.ngff.chunk_files import UNTOLD, Look, chunk_files
from bigcell.io.ngff.chunk_sample import ChunkSample, changes, chunk_places, compared, take_sample
from bigcell.io.ngff.image import open_image
from bigcell.io.stores import remote

FORMS = [("0.4", False, "/"), ("0.4", False, "."), ("0.5", False, "/"), ("0.5", True, "/")]


def files_of(path):
    """The files of the chunks of level 0, by their names below the store."""
    files = (p for p in (path / "0").rglob("*") if p.is_file() and p.name not in ("zarr.json", ".zarray", ".zattrs"))
    return {str(p.relative_to(path)): p for p in files}


def age(path, seconds):
    """Give every file below `path` another time."""
    for file in (p for p in path.rglob("*") if p.is_file()):
        os.utime(file, (file.stat().st_atime, file.stat().st_mtime - seconds))


@pytest.mark.parametrize(("version", "sharded", "separator"), FORMS)
def test_every_file_of_a_small_image_is_looked_at(make_store, version, sharded, separator):
    path, _ = make_store(version=version, sharded=sharded, separator=separator)
    sample = take_sample(open_image(path))
    assert set(sample.seen) == set(files_of(path)) == set(sample.contents)
    assert sample.places == len(sample.seen)
    assert ChunkSample.from_json(sample.to_json()) == sample
    assert changes(sample, open_image(path)) == []


@pytest.mark.parametrize(("version", "sharded", "separator"), FORMS)
def test_one_voxel_of_one_chunk_is_found_out(make_store, version, sharded, separator):
    path, voxels = make_store(version=version, sharded=sharded, separator=separator)
    volume = open_image(path)
    sample = take_sample(volume)
    array = zarr.open_array(path / "0", mode="r+")
    array[1, 2, 3, 9] = voxels[1, 2, 3, 9] + 1
    (said,) = changes(sample, volume)
    assert said.split()[0] in files_of(path)


def test_only_what_the_view_shows_is_looked_at(make_store):
    path, _ = make_store("tczyx", sizes={"c": 9})
    view = {"channels": [8, 4], "time": 1, "region": Box((0, 5, 0), (4, 9, 8))}
    sample = take_sample(open_image(path, **view))
    assert set(sample.seen) == {f"0/c/0/{c}/0/{y}/{x}" for c in (1, 2) for y in (1, 2) for x in (0, 1)}
    for name, file in files_of(path).items():
        if name not in sample.seen:
            file.write_bytes(b"other")
    assert changes(sample, open_image(path, **view)) == []


def test_a_file_that_comes_or_goes_is_found_out(make_store):
    path, _ = make_store()
    files = files_of(path)
    files.pop("0/c/0/0/0/0").rename(path / "aside")
    volume = open_image(path)
    sample = take_sample(volume)
    (path / "aside").rename(path / "0/c/0/0/0/0")
    files["0/c/0/1/1/1"].unlink()
    assert changes(sample, volume) == ["0/c/0/0/0/0 (appeared)", "0/c/0/1/1/1 (vanished)"]


def test_a_copy_is_the_same_image(make_store):
    """Every time is another; the content is not."""
    path, _ = make_store()
    volume = open_image(path)
    sample = take_sample(volume)
    shutil.copytree(path, path.with_name("copy"), copy_function=shutil.copyfile)
    shutil.rmtree(path)
    path.with_name("copy").rename(path)
    age(path, 1000)
    assert changes(sample, volume) == []


def test_a_copy_with_other_voxels_of_the_same_size_is_another_image(make_store):
    path, _ = make_store()
    volume = open_image(path)
    sample = take_sample(volume)
    file = files_of(path)["0/c/0/1/1/1"]
    held = bytearray(file.read_bytes())
    held[-1] ^= 1
    file.write_bytes(held)
    age(path, 1000)
    assert changes(sample, volume) == ["0/c/0/1/1/1 (other content)"]


def test_without_checksums_a_copy_and_a_file_written_anew_are_told_apart(make_store, monkeypatch):
    monkeypatch.setattr(chunk_sample, "CONTENTS", 2)
    path, _ = make_store()
    volume = open_image(path)
    sample = take_sample(volume)
    assert len(sample.contents) == 2
    name = next(name for name in sample.seen if name not in sample.contents)
    os.utime(path / name)
    (said,) = changes(sample, volume)
    assert said.startswith(f"{name} (written 20")
    age(path, 1000)
    assert changes(sample, volume) == []


def test_only_the_ends_of_a_large_file_are_read(tmp_path):
    held = os.urandom(300_000)
    (tmp_path / "a").write_bytes(held)
    files = chunk_files(str(tmp_path))
    assert files.ends("a", 300_000) == held[:65536] + held[-65536:]
    assert files.ends("a", 131_072) == held[:131_072]
    assert files.ends("b", 10) is None


def test_chunks_that_were_mended_are_left_out(make_store):
    path, _ = make_store(sharded=True)
    volume = open_image(path)
    sample = take_sample(volume)
    files_of(path)["0/c/0/0/1/1"].write_bytes(b"mended")
    assert len(changes(sample, volume)) == 1
    assert changes(sample, volume, [chunk_sample.holding(volume, (1, 1, 3, 2))]) == []


def test_a_sample_is_spread_over_every_row_and_plane(make_store, monkeypatch):
    path, _ = make_store("zyx", sizes={"z": 40, "y": 40, "x": 40})
    monkeypatch.setattr(chunk_sample, "MAX_FILES", 100)
    count, places = chunk_places(open_image(path))
    assert (count, len(set(places))) == (1000, 100)
    for axis in range(3):
        assert {place[axis] for place in places} == set(range(10))


def test_names_in_a_plan_lead_nowhere(make_store):
    """Only files of the image are looked at, whatever a sample names."""
    path, _ = make_store()
    sample = take_sample(open_image(path))
    other = ChunkSample(1, {"../secret": Look(1, "1"), **sample.seen}, {"../secret": "0", **sample.contents})
    assert changes(other, open_image(path)) == []


def test_what_is_not_told_is_not_compared():
    assert compared({"a": (UNTOLD, Look(1, "1")), "b": (Look(1, "1"), UNTOLD)}, {}, lambda sizes: {}) == []


@pytest.fixture
def server(tmp_path):
    """The address of `tmp_path` on a server that gives times, and no ETags."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            """Nothing on the screen."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # as servers have; with 5, connections made at once wait for seconds

    running = Server(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def test_an_image_on_a_web_server(make_store, server):
    path, _ = make_store("zyx", levels=1)
    volume = open_image(f"http://127.0.0.1:{server.server_port}/{path.name}")
    files_of(path)["0/c/0/0/1"].unlink()
    sample = take_sample(volume)
    assert sum(look is None for look in sample.seen.values()) == 1
    assert len(sample.contents) == len(sample.seen) - 1
    age(path, 1000)
    assert changes(sample, volume) == []
    files_of(path)["0/c/1/1/1"].write_bytes(b"other")
    (said,) = changes(sample, volume)
    assert said.startswith("0/c/1/1/1 (")
    assert said.endswith("-> 5 bytes)")


def test_a_server_that_is_gone_is_told(make_store, server, monkeypatch):
    monkeypatch.setitem(remote.FIRST, "max_retries", 0)
    path, _ = make_store("zyx", levels=1)
    volume = open_image(f"http://127.0.0.1:{server.server_port}/{path.name}")
    sample = take_sample(volume)
    server.shutdown()
    server.server_close()
    with pytest.raises(ChunkError, match=r"cannot be looked at: .*`bigcell resume` goes on"):
        changes(sample, volume)


def test_a_million_files_are_a_thousand_looks(make_store, monkeypatch):
    """Whatever the image: its grid is never listed."""
    path, _ = make_store("zyx", levels=1)
    array = zarr.create_array(path / "1", shape=(2**20, 2**20, 2**20), chunks=(64,) * 3, dtype="u2", overwrite=True)
    document = (path / "1" / "zarr.json").read_text()
    (path / "0" / "zarr.json").write_text(document)
    volume = open_image(path)
    assert volume.extent == array.shape
    sample = take_sample(volume)
    assert sample.places == 2**42
    assert len(sample.seen) == chunk_sample.MAX_FILES


def test_arrays_in_memory_have_none():
    from bigcell.core.volume import ArrayVolume
    from bigcell.engine.runs.source_sample import sample_inputs

    assert sample_inputs(ArrayVolume(np.zeros((4, 4, 4))), None) == {}


def test_a_server_that_answers_no_head_says_nothing_of_chunks(make_store, server):
    """405 is told by obstore as a file that is not there; nothing must be taken for absent because of it."""
    path, _ = make_store("zyx", levels=1)
    volume = open_image(f"http://127.0.0.1:{server.server_port}/{path.name}")
    server.RequestHandlerClass.func.do_HEAD = lambda handler: handler.send_error(405)
    assert set(take_sample(volume).seen.values()) == {UNTOLD}
