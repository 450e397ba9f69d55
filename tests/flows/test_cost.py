from __future__ import annotations

from bigcell.flows.cost import network_cost
from bigcell.networks.cpnet import CPnet
from bigcell.networks.dino_vit import CellposeDINO, DinoSizes
from bigcell.networks.sam_vit import CellposeSAM, SamSizes


def test_wider_networks_hold_more_and_bfloat16_less_per_pixel() -> None:
    small, large = CPnet((2, 8, 16)), CPnet((2, 32, 64))
    assert network_cost(small, "float32", "cpu").held < network_cost(large, "float32", "cpu").held
    assert network_cost(large, "float32", "cpu").pixel == 4 * network_cost(small, "float32", "cpu").pixel
    assert network_cost(large, "bfloat16", "cpu").pixel == network_cost(large, "float32", "cpu").pixel / 2


def test_a_transformer_holds_its_weights_and_its_tokens() -> None:
    network = CellposeSAM(SamSizes(grid=4, width=64, heads=4, hidden=128, neck=16, spans=(7, 7)))
    weights = 4 * sum(p.numel() for p in network.parameters())
    cost = network_cost(network, "float32", "cpu")
    assert weights < cost.held < weights + 40e6
    assert cost.pixel * 32 * 32 == 28 * 64 * 16 * 4  # 16 tokens


def test_a_dino_has_a_token_every_8_pixels_however_large_its_patches() -> None:
    network = CellposeDINO(DinoSizes(width=64, heads=4, hidden=128, blocks=1))
    assert network_cost(network, "float32", "cpu").pixel * 32 * 32 == 28 * 64 * 16 * 4


def test_with_a_device_of_its_own_a_worker_holds_little_per_pixel() -> None:
    network = CPnet((2, 32, 64))
    assert network_cost(network, "float32", "cuda").pixel < network_cost(network, "float32", "cpu").pixel / 10
