"""Network outputs in float32 against Cellpose 3.1 (CPnet) and 4 (the transformer), with equal weights from a seed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bigcell.networks.registry import Model, load_model
from scripts.parity.cases import TILE, UNETS, every, network_weights, picture


def saved(path: Path, state: np.ndarray, seed: int) -> Model:
    """A checkpoint with the names and shapes that the package saves, loaded as a user's file is."""
    shapes = {name: tuple(shape) for name, shape in json.loads(str(state)).items()}
    weights = {name: torch.from_numpy(v) for name, v in network_weights(shapes, seed).items()}
    if "W2" in shapes:
        weights["W2"] = torch.eye(shapes["W2"][0]).reshape(shapes["W2"])
    torch.save(weights, path)
    return load_model(path)


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, in units of the largest answer."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize("name", UNETS)
def test_cpnet_equals_cellpose_3(name: str, answers: Any, tmp_path: Path) -> None:
    wanted = answers("network_cellpose3")
    model = saved(tmp_path / "net.pt", wanted[f"{name}/state"], seed=11)
    assert (model.kind, model.channels, model.network.nbase) == ("CPnet", UNETS[name][0], UNETS[name])
    tiles = torch.from_numpy(picture((2, UNETS[name][0], *TILE), 21))
    with torch.no_grad():
        assert error(every(model.network(tiles).numpy(), 5), wanted[f"{name}/tile"]) < 1e-5
        assert error(model.network.style(tiles).numpy(), wanted[f"{name}/style"]) < 1e-5


def test_the_transformer_equals_cellpose_4(answers: Any, tmp_path: Path) -> None:
    wanted = answers("network_cellpose4")
    model = saved(tmp_path / "sam.pt", wanted["transformer/state"], seed=12)
    assert (model.kind, model.tile) == ("Cellpose-SAM", 256)
    with torch.no_grad():
        found = model.network(torch.from_numpy(picture((1, 3, 256, 256), 24))).numpy()
    assert error(every(found, 23), wanted["transformer/tile"]) < 1e-4
