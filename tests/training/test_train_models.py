"""The recipe of the models that ship: what it hands to the training is what the training can open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from skimage.io import imsave

from bigcell.networks.cache import sha256_of
from bigcell.synthetic.random import random_sample
from bigcell.testing.labelled import synthetic_images
from bigcell.training.data.dataset_config import read_data_file, read_sources
from bigcell.training.settings import TrainingSettings
from bigcell.training.trainer import Data, run_training
from scripts import train_models
from scripts.ship_model import ship


def small(kind: Any, seed: int) -> Any:
    return random_sample(kind, seed, extent=(24, 64, 64), spacing=(1, 1, 1))


def test_real_and_synthetic_images_are_named_and_some_of_each_are_held_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_models, "SYNTHETIC", {"nuclei": {"nuclei": (2, 0.5)}})
    monkeypatch.setattr(train_models, "random_sample", small)
    folder = tmp_path / "given" / "nuclei2d_dsb2018" / "fluorescence"
    folder.mkdir(parents=True)
    labels = np.kron(np.arange(1, 17, dtype=np.uint16).reshape(4, 4), np.ones((12, 12), np.uint16))
    for i in range(train_models.HELD + 1):
        imsave(folder / f"{i:02d}_image.png", (labels % 7 * 30).astype(np.uint8), check_contrast=False)
        imsave(folder / f"{i:02d}_labels.png", labels, check_contrast=False)
    for _ in range(2):  # again: what is there stays
        file = train_models.prepare("nuclei", tmp_path / "given", tmp_path / "out")
    told = read_data_file(file)
    assert (len(told.train), len(told.validation)) == (2 + 1, 1 + 1)
    train, validation = read_sources(file)
    assert sum(source.weight for source in train) == pytest.approx(0.5 + 0.34)
    assert sum(len(list(source.planes())) for source in validation if "fluorescence" in source.name) == 1


def test_a_model_that_is_shipped_keeps_its_weights_and_tells_no_place(tmp_path: Path) -> None:
    settings = TrainingSettings(steps=2, epoch=8, batch=2, width=(4, 8), diameter=12, crop=32, precision="float32")
    made = run_training(
        Data([synthetic_images(1, 64, diameter=12)]), tmp_path / "made", settings, about={"command": f"in {tmp_path}"}
    )
    model = ship(made.model.parent, "nuclei", tmp_path)
    before, after = (load_file(path) for path in (made.model, model))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    told = model.with_suffix(".md").read_text()
    assert sha256_of(model) in told
    assert "`python scripts/train_models.py nuclei" in told
    assert str(tmp_path).encode() not in model.read_bytes() + told.encode()
    assert model.with_suffix(".csv").read_text().startswith("step,")
