from __future__ import annotations

import torch

from bigcell.networks.cpnet import CPnet
from bigcell.networks.dino_vit import CellposeDINO, DinoSizes
from scripts.random_networks import random_network

SIZES = DinoSizes(width=16, heads=2, hidden=16, blocks=1)


def test_the_seed_decides_and_what_is_fixed_stays() -> None:
    one, again, other = (random_network(CellposeDINO(SIZES), seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["out.weight"], other["out.weight"])
    plain = CellposeDINO(SIZES).state_dict()
    for name in ("W2", "encoder.rope_embed.periods", "encoder.blocks.0.attn.qkv.bias_mask"):
        assert torch.equal(one[name], plain[name])
    assert 0.8 < float(one["encoder.blocks.0.ls1.gamma"].min()) < 1 < float(one["encoder.blocks.0.ls1.gamma"].max())


def test_the_gain_is_of_the_readout_alone() -> None:
    one, loud = random_network(CellposeDINO(SIZES)), random_network(CellposeDINO(SIZES), gain=3)
    assert torch.allclose(loud.out.weight, 3 * one.out.weight)
    assert torch.equal(loud.encoder.cls_token, one.encoder.cls_token)


def test_it_gives_numbers_and_is_ready() -> None:
    for network in (random_network(CPnet([2, 4, 8])), random_network(CellposeDINO(SIZES))):
        out = network(torch.rand(1, network.channels, 16, 16))
        assert torch.isfinite(out).all()
        assert out.std() > 0
        assert not network.training
