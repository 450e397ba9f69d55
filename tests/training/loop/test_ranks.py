"""Two processes that torchrun starts train one network: with frozen norms the one that a single process trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bigcell.core.errors import SettingsError
from bigcell.training import trainer
from bigcell.training.loop.ranks import Ranks, joined
from bigcell.training.loop.state import load_state
from bigcell.training.output.result import MODEL

RUN = """
import os, sys
import torch
torch.set_num_threads(1)
from bigcell.testing.labelled import synthetic_images
from bigcell.training import trainer
from bigcell.training.loop.ranks import joined
from bigcell.training.settings import TrainingSettings

folder, rank = sys.argv[1], os.environ.get("RANK", "alone")
data = trainer.Data([synthetic_images(2, 64, diameter=12)], [synthetic_images(1, 64, diameter=12, seed=9)])
held = []
first = trainer.Trainer.finish
trainer.Trainer.finish = lambda course: (held.append(course.learner.tensors()), first(course))[1]
with joined():
    for freeze in (True, False):
        settings = TrainingSettings(
            steps=4, epoch=8, batch=4, width=(4, 8), diameter=12, crop=32, channels=1, precision="float32", clip=1.0,
            freeze_norm=freeze,
        )
        trainer.run_training(data, f"{folder}/{freeze}", settings)
        torch.save(held.pop(), f"{folder}/{freeze}-{rank}.pt")
"""


def test_together_they_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trainer.py").write_text(RUN)
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    two = subprocess.run(
        [*torchrun, str(tmp_path / "trainer.py"), str(tmp_path / "two")],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert two.returncode == 0, two.stderr[-3000:]
    monkeypatch.setattr(sys, "argv", ["run", str(tmp_path / "one")])
    finish, threads = trainer.Trainer.finish, torch.get_num_threads()
    try:
        exec(RUN, {})
    finally:
        trainer.Trainer.finish = finish  # type: ignore[method-assign]
        torch.set_num_threads(threads)
    for freeze in (True, False):
        ranks = [torch.load(tmp_path / "two" / f"{freeze}-{rank}.pt", weights_only=True) for rank in (0, 1)]
        assert [name for name in ranks[0] if not torch.equal(ranks[0][name], ranks[1][name])] == []
        assert load_state(tmp_path / "two" / str(freeze))[0].step == 4
        assert (tmp_path / "two" / str(freeze) / MODEL).exists()
    alone = torch.load(tmp_path / "one" / "True-alone.pt", weights_only=True)
    together = torch.load(tmp_path / "two" / "True-0.pt", weights_only=True)
    for name, value in alone.items():
        assert torch.allclose(value, together[name], rtol=1e-5, atol=1e-5), name


def test_alone_nothing_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as ranks:
        network = torch.nn.Linear(1, 1)
        assert (ranks.first, ranks.count) == (True, 1)
        assert ranks.share(network) is network
        assert ranks.mean(2.5) == 2.5
        assert ranks.told(True)


def test_a_batch_is_shared_in_equal_parts() -> None:
    Ranks(0, 2).check_batch(8)
    with pytest.raises(SettingsError, match="batch of 9 cannot be shared by 2 processes"):
        Ranks(0, 2).check_batch(9)
