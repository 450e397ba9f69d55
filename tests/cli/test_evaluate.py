"""`bigcell evaluate`: its table, its files, its links, and what it refuses."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import bigcell
from bigcell.cli.app import app
from bigcell.cli.evaluate import read_boxes
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError

PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from bigcell.cli import main; main()"
)


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(w) for w in words])


def refused(*words: object) -> str:
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    return result.stderr


@pytest.fixture
def pair(tmp_path: Path, write_labels: Callable[..., Path]) -> tuple[Path, Path]:
    """An image with labels, and the truth: two cells right, one cut in two, one missed, one extra."""
    truth, found = np.zeros((2, 6, 20, 40), np.uint16)
    for i in range(4):
        truth[1:5, 2:10, 10 * i + 1 : 10 * i + 9] = i + 1
    found[:] = np.where(truth == 4, 0, truth * 10)
    found[1:5, 2:10, 5:9] = 99
    found[2:4, 14:18, 20:24] = 77
    return write_labels(tmp_path / "image.zarr", found, names=("cells", "more")), write_labels(
        tmp_path / "truth.zarr", truth
    )


def test_a_table(pair: tuple[Path, Path]) -> None:
    result = call("evaluate", *pair, "--labels", "cells", "--thresholds", "0.4,0.75")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("cells      4 true, 5 found")
    assert [line.split()[:4] for line in lines[3:5]] == [["0.4", "3", "1", "2"], ["0.75", "2", "2", "3"]]
    assert "1 true cells split, 0 cells found hold several" in result.stdout
    assert result.stdout.strip() == str(bigcell.evaluate(*pair, labels="cells", thresholds=(0.4, 0.75)).scores), (
        "and nothing else"
    )


def test_files(pair: tuple[Path, Path], tmp_path: Path) -> None:
    scores, errors, boxes = tmp_path / "s.json", tmp_path / "e.csv", tmp_path / "boxes.txt"
    boxes.write_text("# where it was drawn\n:,:,0:20\n\n:,:,20:  # the rest\n")
    words = ("--labels", "cells", "--json", scores, "--errors", errors, "--boxes", boxes, "--block", "6,8,8")
    result = call("evaluate", *pair, *words)
    assert result.exit_code == 0, result.output
    values = json.loads(scores.read_text())
    assert values["cells"] == {"truth": 4, "found": 5}
    assert len(values["boxes"]) == 2
    with errors.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["split", "missed", "extra", "extra"]
    assert "0 merged, 1 split, 1 missed, 2 extra, 0 poor" in result.stdout


def test_links_to_a_neuroglancer_elsewhere_need_stores_elsewhere(pair: tuple[Path, Path], tmp_path: Path) -> None:
    far = ("evaluate", *pair, "--labels", "cells", "--link", "https://ng.example.org")
    assert "give --errors" in refused(*far)
    assert "use --link serve" in refused(*far, "--errors", tmp_path / "e.csv")
    assert "wanted serve, or the http address" in refused(*far[:-1], "ng", "--errors", tmp_path / "e.csv")
    np.save(tmp_path / "a.npy", np.ones((6, 20, 40), np.uint8))
    assert "links open OME-Zarr" in refused("evaluate", tmp_path / "a.npy", pair[1], "--link", "serve")


def test_links_that_are_served(pair: tuple[Path, Path], tmp_path: Path) -> None:
    words = ["evaluate", *pair, "--labels", "cells", "--link", "serve", "--errors", tmp_path / "e.csv"]
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        while "Ctrl-C" not in (line := running.stdout.readline()):
            assert line, running.stderr
        with (tmp_path / "e.csv").open() as file:
            link = next(csv.DictReader(file))["link"]
        page, _, state = link.partition("#!")
        assert urllib.request.urlopen(page, timeout=120).status == 200
        for layer in json.loads(unquote(state))["layers"]:
            source = layer["source"].removeprefix("zarr://")
            assert urllib.request.urlopen(f"{source}zarr.json", timeout=120).status == 200
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=120)
    assert (running.returncode, errors) == (0, "")


def test_what_is_refused_before_any_work(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert "say which" in refused("evaluate", *pair)
    named = ("evaluate", *pair, "--labels", "cells")
    assert "make it first" in refused(*named, "--json", tmp_path / "no" / "s.json")
    assert "wanted an IoU" in refused(*named, "--poor", "7")
    assert "wanted IoUs above 0" in refused(*named, "--thresholds", "0.5,5")
    assert "--thresholds 'x'" in refused(*named, "--thresholds", "x")
    assert "boundary tolerance" in refused(*named, "--tolerance", "-2")
    assert "wanted serial, processes" in refused(*named, "--cluster", "cloud")


def test_boxes_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "boxes.txt"
    file.write_text("0:2,:,3:4\n")
    assert read_boxes(str(file), (5, 6, 7)) == [Box((0, 0, 3), (2, 6, 4))]
    file.write_text("0:2,:\n")
    with pytest.raises(SettingsError, match=r"boxes.txt: '0:2,:': wanted z0:z1"):
        read_boxes(str(file), (5, 6, 7))
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as text"):
        read_boxes(str(file), (5, 6, 7))
    with pytest.raises(InputError, match=r"nothing\.txt cannot be read"):
        read_boxes(str(tmp_path / "nothing.txt"), (5, 6, 7))
