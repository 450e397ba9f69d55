"""Names of labels and folders with spaces, accents and other scripts, from `segment` to `view`."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import bigcell
from bigcell import api
from bigcell.cli.app import app
from bigcell.core.box import Box
from bigcell.engine.runs.find_run import read_status
from bigcell.io.ngff.image import read_info
from bigcell.report.page import facts_in
from bigcell.testing.disturbed import Stopping
from bigcell.testing.files import files_of
from bigcell.testing.flows import FlowLattice
from bigcell.viewers.neuroglancer import view

WORDS: dict[str, Any] = {"block": (12, 36, 22), "cluster": "serial"}
NAMES = ["my cells (2)", "Zellkörper 核+Я"]


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(w) for w in words])
    return result.exit_code, result.stdout + result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_from_segment_to_view(
    name: str, tmp_path: Path, store: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lattice = FlowLattice((12, 36, 44), diameter=12, noise=0.5)
    flows = store(tmp_path / f"my {name} flows.zarr", lattice.read(Box.of(lattice.extent)))
    plain = bigcell.segment(flows=flows, **WORDS)
    with monkeypatch.context() as patch:
        patch.setattr(api, "choose_executor", lambda *_: Stopping(1))
        with pytest.raises(KeyboardInterrupt):
            bigcell.segment(flows=flows, labels=name, **WORDS)
    assert (read_status(flows).state, read_status(flows).labels) == ("stopped", name)
    code, said = call("status", flows)
    assert code == 0
    assert f"{name} in {flows}: stopped" in said
    code, said = call("resume", flows, "--labels", name, "--cluster", "serial")
    assert code == 0, said
    assert f"labels/{name}/report.html" in said.replace("'", "")
    labels = flows / "labels" / name
    assert files_of(labels) == files_of(Path(str(plain.path)))
    assert read_info(flows).labels == ("cells", name)
    assert json.loads((labels / "record.json").read_text())["command"]["labels"] == name
    code, said = call("report", flows, "--labels", name, "-o", tmp_path / f"{name}.html")
    assert code == 0, said
    assert facts_in((tmp_path / f"{name}.html").read_text()).state == "finished"
    with view(flows, labels=name) as shown:
        layer = next(lay for lay in shown.state["layers"] if lay["name"] == name)
        address = layer["source"].removeprefix("zarr://") + "zarr.json"
        with urllib.request.urlopen(address, timeout=20) as answer:
            assert "multiscales" in json.loads(answer.read())["attributes"]["ome"]
    assert call("segment", "--flows", flows, "--labels", name)[0] == 2  # it is taken
