"""Killed in the middle of a run, by the system, it ends with the weights of an undisturbed one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bigcell.training.loop.state import load_state

RUN = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from bigcell.testing.labelled import synthetic_images
from bigcell.training.loop.events import Stepped
from bigcell.training.trainer import Data, run_training
from bigcell.training.settings import TrainingSettings

folder, kill_at = sys.argv[1], int(sys.argv[2])
data = Data([synthetic_images(2, 64, diameter=12)], [synthetic_images(1, 64, diameter=12, seed=9)])

def tell(event):
    if isinstance(event, Stepped) and event.step == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

for precision in ("float32", "bfloat16"):
    settings = TrainingSettings(
        steps=9, epoch=12, batch=4, width=(4, 8), diameter=12, crop=32, channels=1, precision=precision,
        deterministic=True, save_every=2,
    )
    out = f"{folder}/{precision}"
    run_training(data, out, settings, resume=os.path.exists(f"{out}/checkpoint.safetensors"), listener=tell)
"""


def run(folder: Path, kill_at: int) -> int:
    return subprocess.run([sys.executable, "-c", RUN, str(folder), str(kill_at)], check=False).returncode


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_killed_and_taken_up_again(tmp_path: Path) -> None:
    assert run(tmp_path / "whole", 0) == 0
    killed = tmp_path / "killed"
    assert run(killed, 5) == -signal.SIGKILL  # in float32: four steps are saved
    assert load_state(killed / "float32")[0].step == 4
    assert run(killed, 3) == -signal.SIGKILL  # float32 ends, bfloat16 is killed
    assert load_state(killed / "bfloat16")[0].step == 2
    assert run(killed, 0) == 0
    for precision in ("float32", "bfloat16"):
        (one, a), (two, b) = (load_state(tmp_path / name / precision) for name in ("whole", "killed"))
        assert one.step == two.step == 9
        assert a.keys() == b.keys()
        assert [name for name in a if not torch.equal(a[name], b[name])] == []
        assert all(torch.equal(one.best[name], two.best[name]) for name in one.best)
