"""A small network that finds cells, and an image: what the fixture of exported models is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

WIDTH, DIAMETER, STEPS = (4, 6, 8, 10), 14.0, 300


SIDE, SCALE, ZERO = 128, 100, 50


def image() -> np.ndarray:
    """uint8 (2, y, x): an image that the network has not seen, its cells of the right size; see `shown`."""
    from bigcell.testing.labelled import synthetic_images

    plane = next(synthetic_images(1, SIDE, diameter=DIAMETER, channels=2, seed=77).planes())
    return np.clip(np.round(plane.image * SCALE + ZERO), 0, 255).astype(np.uint8)


def shown(image: np.ndarray) -> np.ndarray:
    """float32, about 0 to 1: what both packages are given."""
    return (image.astype(np.float32) - ZERO) / np.float32(SCALE)


def train(folder: Path) -> Path:
    """The network, trained from scratch; its file."""
    from bigcell.testing.labelled import synthetic_images
    from bigcell.training.settings import TrainingSettings
    from bigcell.training.trainer import Data, run_training

    settings = TrainingSettings(
        steps=STEPS, epoch=8 * STEPS, width=WIDTH, diameter=DIAMETER, crop=64, rate=1e-2, precision="float32",
    )  # fmt: skip
    data = Data([synthetic_images(8, 160, diameter=DIAMETER, channels=2)])
    return run_training(data, folder / "trained", settings).model
