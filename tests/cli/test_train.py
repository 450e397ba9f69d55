"""`bigcell train` and `bigcell models export`: what they print, and one line for what cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from typer.testing import CliRunner, Result

from bigcell.cli.app import app
from bigcell.cli.train import Course
from bigcell.networks.cpnet import CPnet
from bigcell.networks.registry import load_model
from bigcell.synthetic import sample_volume
from bigcell.training.loop.events import Begun, Looked, Said, Stepped
from bigcell.training.loop.state import Row
from bigcell.training.settings import TrainingSettings
from bigcell.training.train import TrainingJob, command

QUICK = ("--steps", 4, "--epoch", 8, "--batch", 4, "--width", "4,8", "--diameter", 12, "--crop", 32, "--seed", 3)


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(w) for w in words])


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells")
    for i in range(3):
        made = sample_volume((1, 64, 64), diameter=12, seed=i)
        tifffile.imwrite(folder / f"{i}.tif", made.image[0, 0])
        tifffile.imwrite(folder / f"{i}_masks.tif", made.labels[0].astype(np.uint16))
    return folder


def test_train_resume_add_export(cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    result = call("train", cells, "--out", out, "--licence", "CC BY 4.0", *QUICK)
    assert result.exit_code == 0, result.stderr
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["model"] == str(out / "model.safetensors")
    assert "AP@0.5" in lines
    assert "step 4 of 4, loss " in result.stderr
    assert "CPnet, 0.01 million weights" in result.stderr
    assert load_model(out / "model.safetensors").network.nbase == (2, 4, 8)

    again = call("train", "--resume", out)
    assert again.exit_code == 0
    assert again.stdout == result.stdout

    more = call("train", "--resume", out, "--add", cells, "--share", "0.25", "--steps", 2)
    assert more.exit_code == 0, more.stderr
    assert "25 parts in 100 of the crops" in more.stderr
    assert (tmp_path / "mine-2" / "model.safetensors").exists()

    refused = call("models", "export", out / "model.safetensors", tmp_path / "theirs.pt", "--format", "cellpose3")
    assert refused.exit_code == 2
    assert "Cellpose 3.1 holds 4 levels" in refused.stderr


def test_export(tmp_path: Path) -> None:
    torch.save(CPnet([2, 4, 4, 4, 4]).state_dict(), tmp_path / "mine.pt")
    result = call("models", "export", tmp_path / "mine.pt", tmp_path / "theirs.pt")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(tmp_path / "theirs.pt")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "wanted data and a folder"),
        (("--resume", "nowhere"), "no training was begun there"),
        (("nowhere", "--out", "x"), "nowhere"),
        (("nowhere", "--out", "x", "--optimizer", "lion"), "optimizer 'lion': wanted adamw or sgd"),
        (("nowhere", "--out", "x", "--width", "a"), "--width 'a'"),
    ],
)
def test_one_line_for_what_cannot_be(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call("train", *words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == []


def test_every_setting_has_an_option_that_the_card_may_name() -> None:
    """What the card says can be typed."""
    told = call("train", "--help").stdout
    for name in TrainingSettings.__dataclass_fields__:
        if name != "augmentation":
            assert f"--{name.replace('_', '-')}" in told, name
    changed = TrainingSettings(freeze_norm=True, width=(4, 8), rate=1e-4)
    assert (
        command(TrainingJob("a b"), "o", changed)
        == "bigcell train 'a b' --out o --rate 0.0001 --freeze-norm --width 4,8"
    )


def test_a_log_tells_what_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with Course() as course:
        course(Begun(10, 30, "CPnet"))
        course(Stepped(20, 30, 0.5))
        course(Looked(Row(20, 1.0, 1e-3, 0.5, 2.0, 0.6, 0.7, 0.4, 0.8), best=True))
        course(Looked(Row(30, 2.0, 1e-3, 0.25, 2.0), best=False))
        course(Said("that was it"))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "CPnet; going on after step 10"
    assert lines[1].startswith("step 20 of 30, loss 0.5000, AP@0.5 0.700, AP 0.400, the best so far")
    assert lines[2:] == ["step 30 of 30, loss 0.2500", "that was it"]


def test_python_m_bigcell() -> None:
    out = subprocess.run([sys.executable, "-m", "bigcell", "--version"], capture_output=True, text=True, check=True)
    assert out.stdout.strip()
