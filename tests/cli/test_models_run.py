"""`bigcell segment --model`: every network that loads also runs, and no network is one line and nothing written."""

from __future__ import annotations

import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner, Result

import bigcell
from bigcell.cli.app import app
from bigcell.engine.runs.ended import read_record
from bigcell.io.ngff.image import read_info
from bigcell.networks.cpnet import CPnet
from bigcell.networks.dino_vit import CellposeDINO, DinoSizes
from bigcell.networks.sam_vit import CellposeSAM, SamSizes
from bigcell.synthetic import sample_volume

SAM = SamSizes(patch=8, grid=4, width=16, heads=2, hidden=32, neck=8, spans=(7, 3))
DINO = DinoSizes(width=16, heads=2, hidden=32, blocks=1)
NETWORKS = [CPnet([2, 4, 8, 12]), CPnet([1, 4, 8]), CellposeSAM(SAM), CellposeDINO(DINO)]


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(w) for w in words])


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    made = sample_volume((1, 70, 60), diameter=18, seed=5)
    np.save(folder / "image.npy", made.image[0, 0].astype(np.uint16))
    result = call("convert", folder / "image.npy", folder / "image.zarr", "--axes", "yx", "--spacing", "1,1,1")
    assert result.exit_code == 0, result.stderr
    return folder / "image.zarr"


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.kind)
def test_every_network_runs(network: nn.Module, image: Path, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "model.pt")
    out = tmp_path / "out.zarr"
    words = ("segment", image, "--model", tmp_path / "model.pt", "--output", out, "--workers", 1)
    result = call(*words)
    assert result.exit_code == 0, result.stderr
    assert read_info(out).labels == ("cells",)
    assert read_record(out / "labels" / "cells").plan["model_kind"] == network.kind
    assert f"({network.kind}, " in call("plan", image, "--model", tmp_path / "model.pt").stdout


def test_a_model_may_be_a_path_object(image: Path, tmp_path: Path) -> None:
    """It once stopped the plan from being saved."""
    torch.save(CPnet([2, 4, 8]).state_dict(), tmp_path / "model.pt")
    made = bigcell.segment(image, model=tmp_path / "model.pt", output=tmp_path / "out.zarr", workers=1)
    assert made.path == tmp_path / "out.zarr" / "labels" / "cells"


class Explosive:
    """Pickles to a call that would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return (subprocess.call, (["touch", str(self.path)],))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("hostile", "might run code"),
        ("hostile pickle", "might run code"),
        ("whole", "saved as a whole model"),
        ("short", "is it cut short?"),
        ("other", "not known: found 2 tensors such as bias, weight"),
        ("nothing", "is neither"),
    ],
)
def test_what_is_no_network_is_refused_and_nothing_is_written(
    kind: str, says: str, image: Path, tmp_path: Path
) -> None:
    path, mark, out = tmp_path / "model.pt", tmp_path / "ran", tmp_path / "out.zarr"
    network = CPnet([2, 4, 8])
    if kind == "short":
        torch.save(network.state_dict(), path)
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == "hostile pickle":
        path.write_bytes(pickle.dumps({"a": Explosive(mark)}))
    elif kind != "nothing":
        what = {"hostile": {"a": Explosive(mark)}, "whole": network, "other": nn.Linear(2, 2).state_dict()}
        torch.save(what[kind], path)
    result = call("segment", image, "--model", path, "--output", out)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert says in result.stderr
    assert str(path) in result.stderr
    assert not mark.exists()
    assert not out.exists()
