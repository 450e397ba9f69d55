"""Bad input: one clear sentence, exit code 2, and nothing half-written. The whole list, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import dask.array
import numpy as np
import pytest
import torch
import zarr
from ome_zarr_models import open_ome_zarr
from typer.testing import CliRunner

import bigcell
from bigcell.cli.app import app
from bigcell.core.box import Box
from bigcell.testing.flows import FlowLattice


def noise(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 500, shape).astype(dtype)


def with_attributes(path: Path, change: Callable[[dict], None]) -> Path:
    file = path / "zarr.json"
    values = json.loads(file.read_text())
    change(values["attributes"]["ome"]["multiscales"][0])
    file.write_text(json.dumps(values))
    return path


def not_a_zarr(tmp_path: Path, store) -> list[str]:
    (tmp_path / "x.txt").write_text("cells")
    return [str(tmp_path / "x.txt")]


def absent(tmp_path: Path, store) -> list[str]:
    return [str(tmp_path / "nowhere.zarr")]


def bare_array(tmp_path: Path, store) -> list[str]:
    zarr.create_array(tmp_path / "a.zarr", shape=(4, 4), dtype="u2")
    return [str(tmp_path / "a.zarr")]


def no_metadata(tmp_path: Path, store) -> list[str]:
    zarr.create_group(tmp_path / "g.zarr")
    return [str(tmp_path / "g.zarr")]


def contradiction(tmp_path: Path, store) -> list[str]:
    path = store(tmp_path / "i.zarr", noise(1, 8, 32, 32))
    return [str(with_attributes(path, lambda m: m["axes"].pop()))]


def unknown_axis(tmp_path: Path, store) -> list[str]:
    path = store(tmp_path / "i.zarr", noise(1, 8, 32, 32))
    return [str(with_attributes(path, lambda m: m["axes"][1].update(name="q")))]


def not_finite(tmp_path: Path, store) -> list[str]:
    image = noise(1, 8, 32, 32, dtype="float32")
    image[0, 3, 4, 5] = np.nan
    return [str(store(tmp_path / "i.zarr", image))]


def infinite(tmp_path: Path, store) -> list[str]:
    image = noise(1, 8, 32, 32, dtype="float32")
    image[0, 3, 4, 5] = np.inf
    return [str(store(tmp_path / "i.zarr", image))]


def zero_size(tmp_path: Path, store) -> list[str]:
    path = store(tmp_path / "i.zarr", noise(1, 8, 32, 32))
    file = path / "0" / "zarr.json"
    values = json.loads(file.read_text())
    values["shape"] = [1, 0, 32, 32]
    file.write_text(json.dumps(values))
    return [str(path)]


def channel_out_of_range(tmp_path: Path, store) -> list[str]:
    return [str(store(tmp_path / "i.zarr", noise(1, 8, 32, 32))), "--channel", "3"]


def level_out_of_range(tmp_path: Path, store) -> list[str]:
    return [str(store(tmp_path / "i.zarr", noise(1, 8, 32, 32))), "--level", "2"]


def name_taken(tmp_path: Path, store) -> list[str]:
    path = store(tmp_path / "i.zarr", noise(1, 8, 32, 32))
    (path / "labels" / "cells").mkdir(parents=True)
    return [str(path)]


def no_checkpoint(tmp_path: Path, store) -> list[str]:
    (tmp_path / "model.pt").write_bytes(b"weights")
    return [str(store(tmp_path / "i.zarr", noise(1, 8, 32, 32))), "--model", str(tmp_path / "model.pt")]


def other_architecture(tmp_path: Path, store) -> list[str]:
    torch.save({"layer.weight": torch.zeros(3, 3)}, tmp_path / "model.pt")
    return [str(store(tmp_path / "i.zarr", noise(1, 8, 32, 32))), "--model", str(tmp_path / "model.pt")]


def output_is_a_file(tmp_path: Path, store) -> list[str]:
    (tmp_path / "out").write_text("mine")
    return [str(store(tmp_path / "i.zarr", noise(1, 8, 32, 32))), "--output", str(tmp_path / "out")]


CASES = [
    (not_a_zarr, "not an OME-Zarr|is a file|not a zarr|zarr group"),
    (absent, "not there|does not exist|no such|nothing"),
    (bare_array, "array"),
    (no_metadata, "multiscales"),
    (contradiction, "axes"),
    (unknown_axis, "'q'"),
    (not_finite, r"nan at voxel|not finite|finite"),
    (infinite, "finite"),
    (zero_size, "no voxel"),
    (channel_out_of_range, "channel"),
    (level_out_of_range, "1 level"),
    (name_taken, "exists"),
    (no_checkpoint, "checkpoint"),
    (other_architecture, "layer.weight|CPnet|architecture"),
    (output_is_a_file, "is a file"),
]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


@pytest.mark.parametrize(("make", "words"), CASES, ids=lambda c: c.__name__ if callable(c) else "")
def test_one_sentence_code_2_and_nothing_written(tmp_path: Path, store, make, words: str) -> None:
    arguments = make(tmp_path, store)
    before = everything(tmp_path)
    run = CliRunner().invoke(app, ["segment", *arguments, "--cluster", "serial"])
    line = run.stderr
    assert run.exit_code == 2, line
    assert line.startswith("bigcell: ")
    assert len(line.strip().splitlines()) == 1
    assert any(word in line.lower() for word in words.lower().split("|")), line
    assert everything(tmp_path) == before


def test_an_empty_volume_is_no_error(tmp_path: Path, store) -> None:
    flows = store(tmp_path / "f.zarr", np.full((4, 12, 20, 20), -5, np.float32))
    run = CliRunner().invoke(app, ["segment", "--flows", str(flows), "--cluster", "serial"])
    assert run.exit_code == 0, run.output
    open_ome_zarr(flows / "labels" / "cells", version="0.5")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("own", [True, False])
def test_outputs_validate_and_read_back(tmp_path: Path, store, version: str, own: bool) -> None:
    lattice = FlowLattice((36, 60, 68), diameter=13)
    path = store(tmp_path / "i.zarr", lattice.read(Box.of(lattice.extent)), levels=2, version=version)
    target = tmp_path / "out.zarr" if own else path
    result = bigcell.segment(flows=path, output=target, block=(20, 32, 32), cluster="serial")
    wanted = "0.5" if own else version
    open_ome_zarr(target, version=wanted)
    open_ome_zarr(result.path, version=wanted)
    plain = np.asarray(zarr.open_group(result.path, mode="r")["0"][...])
    lazy = dask.array.from_zarr(str(result.path / "0")).compute(scheduler="synchronous")
    assert np.array_equal(plain, lazy)
    assert plain.dtype == np.uint32
    assert plain.max() == result.objects
