"""The transformers of Cellpose 4 in the loop: the same labels for any blocks, at their own tile and at another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bigcell
from bigcell.core.axes import Spacing
from bigcell.core.volume import ArrayVolume
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.flow_options import tile_settings
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.request import Request
from bigcell.networks.dino_vit import VIT_B, CellposeDINO, DinoSizes
from bigcell.networks.sam_vit import CellposeSAM, SamSizes
from bigcell.synthetic import sample_volume
from scripts.random_networks import random_network

DEEP = DinoSizes(width=48, heads=3, hidden=64, blocks=3)
WIDE = DinoSizes(width=64, heads=1, hidden=96, blocks=2)
NETWORKS = {
    "deep": (lambda: random_network(CellposeDINO(DEEP), 1, gain=3), 64),
    "wide": (lambda: random_network(CellposeDINO(WIDE), 2, gain=3), 64),
    "of 384": (lambda: random_network(CellposeDINO(DEEP), 3, gain=6), None),
    "SAM": (
        lambda: random_network(
            CellposeSAM(SamSizes(grid=8, width=32, heads=2, hidden=64, neck=8, spans=(7, 3))), 4, gain=3
        ),
        None,
    ),
}


def volume(shape: tuple[int, int, int]) -> ArrayVolume:
    return ArrayVolume(sample_volume(shape, diameter=30, seed=3).image, Spacing(1.0, 1.0, 1.0))


def labels_of(image: ArrayVolume, model: Path, block: tuple[int, int, int], tile: int | None) -> np.ndarray:
    """Labels of every pixel that seems to be inside: a random network's flows fit no cell."""
    made = bigcell.segment(
        image, model=model, diameter=30, block=block, tile=tile, cluster="serial", precision="float32",
        flow_threshold=0, flow_threshold_3d=0, min_size=15,
    )  # fmt: skip
    assert made.labels is not None
    return made.labels


@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_give_the_same_labels(name: str, tmp_path: Path) -> None:
    make, tile = NETWORKS[name]
    torch.save(make().state_dict(), tmp_path / "net.pt")
    image = volume((1, 150, 430))
    whole = labels_of(image, tmp_path / "net.pt", (1, 150, 430), tile)
    assert len(np.unique(whole)) > 8
    for block in ((1, 64, 64), (1, 150, 90), (1, 41, 430)):
        assert np.array_equal(labels_of(image, tmp_path / "net.pt", block, tile), whole)


def test_views_of_a_stack_too(tmp_path: Path) -> None:
    torch.save(random_network(CellposeDINO(DEEP), 5, gain=3).state_dict(), tmp_path / "net.pt")
    image = volume((20, 60, 90))
    whole = labels_of(image, tmp_path / "net.pt", (20, 60, 90), 48)
    assert len(np.unique(whole)) > 3
    assert np.array_equal(labels_of(image, tmp_path / "net.pt", (11, 30, 32), 48), whole)


def test_all_tiles_of_a_dino_are_alike_and_may_be_chosen(tmp_path: Path) -> None:
    torch.save(random_network(CellposeDINO(DEEP)).state_dict(), tmp_path / "net.pt")
    for asked, side in ((None, 384), (128, 128), (512, 512)):
        plan = make_plan(Request(model=str(tmp_path / "net.pt"), diameter=30.0, tile=asked), volume((1, 40, 600)), None)
        assert {axis.size for axis in plan.lattice.axes[1:]} == {side}
    assert tile_settings(Request(tile=256), 384, resizable=True).fixed


def test_the_plan_knows_what_a_worker_holds(tmp_path: Path) -> None:
    """Four times the weights and four times the tokens ask for more, each by what it is."""
    small, wide, image = tmp_path / "small.pt", tmp_path / "wide.pt", volume((1, 40, 60))
    torch.save(random_network(CellposeDINO(DEEP)).state_dict(), small)
    torch.save(random_network(CellposeDINO(DinoSizes(width=96, heads=3, hidden=128, blocks=3))).state_dict(), wide)

    def need(model: Path, tile: int | None = None) -> float:
        plan: Plan = make_plan(Request(model=str(model), diameter=30.0, tile=tile), image, None)
        assert plan.budget is not None
        return plan.budget.worker

    assert need(wide) > need(small) > need(small, 192)


@pytest.mark.scale
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("sizes", [DinoSizes(), VIT_B], ids=["cpdino", "cpdino-vitb"])
def test_the_published_sizes_give_the_same_labels_for_any_blocks(sizes: DinoSizes, tmp_path: Path) -> None:
    network: nn.Module = random_network(CellposeDINO(sizes), 6, gain=6)
    torch.save(network.state_dict(), tmp_path / "net.pt")
    del network
    image = volume((1, 120, 500))
    whole = labels_of(image, tmp_path / "net.pt", (1, 120, 500), None)
    assert len(np.unique(whole)) > 3
    assert np.array_equal(labels_of(image, tmp_path / "net.pt", (1, 60, 130), None), whole)
