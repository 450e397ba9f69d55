"""Tiles, their blending and the sum of three views, against Cellpose 3.1 and 4 with the same networks.

Ours are sums of integers: a step is 1/1024 of a unit flow and 1/256 of a logit for every tile that covers a voxel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigcell.flows.predict import predict_cube
from bigcell.flows.settings import FlowSettings
from bigcell.networks.registry import Model
from bigcell.tiling.blend import FLOW_BITS, LOGIT_BITS
from bigcell.tiling.lattice import Lattice, TileSettings
from scripts.parity.cases import VOLUME, every, picture

SUM = FlowSettings(views="sum")


def whole(
    model: Model, image: np.ndarray, tiles: TileSettings, settings: FlowSettings, ortho: Model | None = None
) -> np.ndarray:
    """Flows and logit as Cellpose orders them, float32 (z, y, x, components), of `image` (z, y, x, channels).

    `ortho`: for the views zx and zy."""
    lattice = Lattice(image.shape[:3], tiles)
    channels = np.moveaxis(image, -1, 0)
    total = np.zeros((4, *lattice.extent), np.int32)
    networks = [model.network, *[(ortho or model).network] * 2]
    for cube in range(len(lattice.cubes)):
        box = lattice.footprint(cube).slices
        total[(slice(None), *box)] += predict_cube(networks, channels[(slice(None), *box)], lattice, cube, settings)
    scale = np.array([5 / (1 << FLOW_BITS)] * 3 + [1 / (1 << LOGIT_BITS)])
    flows = np.moveaxis(total, 0, -1) * scale
    return flows if image.shape[0] > 1 else flows[..., 1:]


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


@pytest.fixture(scope="module")
def unet(answers: Any, saved: Any, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return saved(tmp_path_factory.mktemp("unet") / "net.pt", answers("network_cellpose3")["cpnet2/state"], 11)


@pytest.fixture(scope="module")
def transformer(answers: Any, saved: Any, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return saved(tmp_path_factory.mktemp("sam") / "sam.pt", answers("network_cellpose4")["transformer/state"], 12)


@pytest.mark.parametrize(("name", "side"), [("views", 224), ("views_tiled", 32)])
def test_summed_views_equal_cellpose_3(name: str, side: int, unet: Model, answers: Any) -> None:
    tiles = TileSettings(size=side, overlap=0.1, layout="cellpose")
    found = whole(unet, picture((*VOLUME, 2), 22), tiles, SUM)
    assert error(every(found, 13), answers("network_cellpose3")[f"cpnet2/{name}"]) < 1e-3


def test_summed_views_of_mirrored_tiles_equal_cellpose_3(unet: Model, answers: Any) -> None:
    tiles = TileSettings(size=64, overlap=0.1, layout="cellpose", mirrored=True)
    found = whole(unet, picture((*VOLUME, 2), 22), tiles, SUM)
    assert error(every(found, 13), answers("network_cellpose3")["cpnet2/views_augment"]) < 2e-3


def test_a_network_for_the_other_views_equals_cellpose_3(unet: Model, answers: Any, saved: Any, tmp_path: Path) -> None:
    held, tiles = answers("network_cellpose3"), TileSettings(size=224, overlap=0.1, layout="cellpose")
    ortho = saved(tmp_path / "ortho.pt", held["cpnet2/state"], 13)
    found = whole(unet, picture((*VOLUME, 2), 22), tiles, SUM, ortho)
    assert error(every(found, 13), held["cpnet2/views_ortho"]) < 1e-3


@pytest.mark.parametrize(("name", "mirrored"), [("plane", False), ("plane_augment", True)])
def test_a_plane_of_several_tiles_equals_cellpose_3(name: str, mirrored: bool, unet: Model, answers: Any) -> None:
    tiles = TileSettings(size=224, overlap=0.1, layout="cellpose", mirrored=mirrored)
    found = whole(unet, picture((1, 300, 260, 2), 23), tiles, SUM)
    assert error(every(found, 23), answers("network_cellpose3")[f"cpnet2/{name}"]) < 2e-3


def test_the_transformer_equals_cellpose_4(transformer: Model, answers: Any) -> None:
    tiles = TileSettings(size=256, overlap=0.1, layout="cellpose", fixed=True)
    found = whole(transformer, picture((1, 300, 260, 3), 26), tiles, SUM)
    assert error(every(found, 23), answers("network_cellpose4")["transformer/plane"]) < 3e-3


def test_summed_views_of_the_transformer_equal_cellpose_4(transformer: Model, answers: Any) -> None:
    tiles = TileSettings(size=256, overlap=0.1, layout="cellpose", fixed=True)
    found = whole(transformer, picture((12, 20, 28, 3), 25), tiles, SUM)
    assert error(every(found, 3), answers("network_cellpose4")["transformer/views"]) < 3e-3


def test_a_plane_of_several_tiles_of_the_dino_equals_cellpose_4(answers: Any, saved: Any, tmp_path: Path) -> None:
    held = answers("network_cpdino")
    model = saved(tmp_path / "dino.pt", held["dino/state"], 14)
    tiles = TileSettings(size=384, overlap=0.1, layout="cellpose", fixed=True)
    found = whole(model, picture((1, 300, 460, 3), 28), tiles, SUM)
    assert error(every(found, 97), held["dino/plane"]) < 3e-3
