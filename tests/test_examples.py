"""The examples run as they stand in the repository, on something smaller."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_first_volume(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "01_first_volume.py"), "--folder", str(tmp_path / "demo")]
    run = subprocess.run([*command, "--extent", "12", "90", "70"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    assert report["F1 at IoU 0.5"] > 0.8
    assert "http://127.0.0.1:" in run.stdout
    assert (tmp_path / "demo" / "slices.png").stat().st_size > 10_000
    assert (tmp_path / "demo" / "sample.zarr" / "labels" / "cells" / "record.json").exists()


def test_train(tmp_path: Path) -> None:
    """A fifth of the training: it need not be good, only much better than at the start."""
    command = [sys.executable, str(EXAMPLES / "02_train.py"), "--folder", str(tmp_path / "out")]
    run = subprocess.run([*command, "--steps", "80", "--images", "4"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["F1 at IoU 0.5"] > 0.2
    assert (tmp_path / "out" / "model" / "training.html").stat().st_size > 10_000
    assert "step 80 of 80" in run.stderr
