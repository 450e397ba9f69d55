"""Network outputs in float32 against Cellpose 3.1 (CPnet) and 4 (the transformers), with equal weights from a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scripts.parity.cases import TILE, UNETS, every, picture


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference, in units of the largest answer."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize("name", UNETS)
def test_cpnet_equals_cellpose_3(name: str, answers: Any, saved: Any, tmp_path: Path) -> None:
    wanted = answers("network_cellpose3")
    model = saved(tmp_path / "net.pt", wanted[f"{name}/state"], 11)
    assert (model.kind, model.channels, model.network.nbase) == ("CPnet", UNETS[name][0], UNETS[name])
    tiles = torch.from_numpy(picture((2, UNETS[name][0], *TILE), 21))
    with torch.no_grad():
        assert error(every(model.network(tiles).numpy(), 5), wanted[f"{name}/tile"]) < 1e-5
        assert error(model.network.style(tiles).numpy(), wanted[f"{name}/style"]) < 1e-5


def test_the_transformer_equals_cellpose_4(answers: Any, saved: Any, tmp_path: Path) -> None:
    wanted = answers("network_cellpose4")
    model = saved(tmp_path / "sam.pt", wanted["transformer/state"], 12)
    assert (model.kind, model.tile) == ("Cellpose-SAM", 256)
    with torch.no_grad():
        found = model.network(torch.from_numpy(picture((1, 3, 256, 256), 24))).numpy()
    assert error(every(found, 23), wanted["transformer/tile"]) < 1e-4


@pytest.mark.parametrize(("name", "shape"), [("tile", (1, 3, 384, 384)), ("small", (2, 3, 64, 96))])
def test_the_dino_equals_cellpose_4_on_layers_of_transformers(
    name: str, shape: tuple[int, ...], answers: Any, saved: Any, tmp_path: Path
) -> None:
    wanted = answers("network_cpdino")
    model = saved(tmp_path / "dino.pt", wanted["dino/state"], 14)
    assert (model.kind, model.tile, model.resizable) == ("Cellpose-DINO", 384, True)
    with torch.no_grad():
        found = model.network(torch.from_numpy(picture(shape, 27))).numpy()
    assert error(every(found, 97), wanted[f"dino/{name}"]) < 1e-4
