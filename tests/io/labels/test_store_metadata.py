"""Many runs that finish in one store at the same time: none of them is forgotten."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import zarr

from bigcell.io.ngff.image import read_info

WRITERS = 20
# Waits for a line, tells the store of the labels that it names, and says so; until there are no more lines.
WRITER = """
import sys
from bigcell.io.labels.store_metadata import make_known, make_root
from bigcell.io.labels.destination import LabelTarget
for line in sys.stdin:
    store, name, own = line.split()
    target = LabelTarget(store, name, "0.5", own == "own", False)
    make_root(target)
    make_known(target)
    print("told", flush=True)
"""
ARRAY = {
    "shape": [4, 4],
    "data_type": "uint32",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 4]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "fill_value": 0,
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    "dimension_names": ["y", "x"],
    "attributes": {},
    "zarr_format": 3,
    "node_type": "array",
}


@pytest.fixture
def writers():
    words = [sys.executable, "-c", WRITER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(words, **pipes) for _ in range(WRITERS)]
    yield processes
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * WRITERS


def lay_labels(store: Path, name: str) -> None:
    """Whole labels under their name, of which the store does not know yet."""
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    entry = {
        "axes": [{"name": a, "type": "space"} for a in "yx"],
        "datasets": [{"path": "0", "coordinateTransformations": scale}],
    }
    ome = {"version": "0.5", "multiscales": [entry], "image-label": {"version": "0.5"}}
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    (store / "labels" / name / "0").mkdir(parents=True)
    (store / "labels" / name / "zarr.json").write_text(json.dumps(group))
    (store / "labels" / name / "0" / "zarr.json").write_text(json.dumps(ARRAY))


def check_one_image(folder: Path, make_store, writers, number: int) -> None:
    path, _ = make_store("yx", name=f"image-{number}.zarr", levels=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(path, zarr_format=3)
    own = folder / f"own-{number}.zarr"
    names = [f"n{i:02}" for i in range(WRITERS)]
    for name in names:
        lay_labels(path if number % 2 else own, name)
    store, kind = (path, "image") if number % 2 else (own, "own")
    for process, name in zip(writers, names, strict=True):
        process.stdin.write(f"{store} {name} {kind}\n")
        process.stdin.flush()
    assert [process.stdout.readline() for process in writers] == ["told\n"] * WRITERS
    assert sorted(read_info(store).labels) == names
    root = json.loads((store / "zarr.json").read_text())
    if number % 2:
        known = root["consolidated_metadata"]["metadata"]
        assert sorted(known["labels"]["attributes"]["ome"]["labels"]) == names
        assert {f"labels/{name}/0" for name in names} <= known.keys()
    else:
        assert root["attributes"]["bigcell"] == {"holds": "labels"}
        assert len(root["attributes"]["ome"]["multiscales"]) == 1
    assert sorted(p.name for p in (store / "labels").iterdir()) == [*names, "zarr.json"]


def test_twenty_writers_are_all_listed(tmp_path, make_store, writers) -> None:
    for number in range(4):
        check_one_image(tmp_path, make_store, writers, number)


@pytest.mark.chaos
def test_twenty_writers_fifty_times(tmp_path, make_store, writers) -> None:
    for number in range(50):
        check_one_image(tmp_path, make_store, writers, number)
