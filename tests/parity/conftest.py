"""What the released Cellpose packages answer: made by scripts/make_parity.py, read here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bigcell.networks.registry import Model, load_model
from scripts.parity.cases import fixed_weights, network_weights

FIXTURES = Path(__file__).with_name("fixtures")
Answers = Callable[[str], dict[str, np.ndarray]]
Saved = Callable[[Path, np.ndarray, int], Model]


@pytest.fixture(scope="session")
def answers() -> Answers:
    """The arrays of one fixture file, by its name without ending."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(FIXTURES / f"{name}.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    return read


@pytest.fixture(scope="session")
def saved() -> Saved:
    """Makes a checkpoint with the names and shapes that the package saves, and weights from a seed; loads it as a file
    of a user is."""

    def make(path: Path, state: np.ndarray, seed: int) -> Model:
        shapes = {name: tuple(shape) for name, shape in json.loads(str(state)).items()}
        weights = {name: torch.from_numpy(v) for name, v in network_weights(shapes, seed).items()}
        weights |= {name: torch.from_numpy(value) for name, value in fixed_weights(shapes).items()}
        torch.save(weights, path)
        return load_model(path)

    return make
