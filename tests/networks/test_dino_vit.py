"""CellposeDINO: names and sizes as published, each equation of DINOv3 written out, a network worked out by hand."""

from __future__ import annotations

import cmath
from math import pi

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its customary name
from torch import Tensor

from bigcell.networks.dino_vit import VIT_B, CellposeDINO, DinoSizes, _Attention, _Block, _Positions

SMALL = DinoSizes(patch=8, step=4, width=24, heads=3, hidden=40, blocks=2, storage=2, tile=32)


def made(sizes: DinoSizes = SMALL, seed: int = 3) -> CellposeDINO:
    """A network whose tokens, norms and scales differ from where they begin."""
    torch.manual_seed(seed)
    network = CellposeDINO(sizes).requires_grad_(False).eval()
    for name, value in network.named_parameters():
        if "token" in name or "norm" in name or "gamma" in name:
            value.add_(torch.randn_like(value) / 2)
    return network


@pytest.mark.parametrize(("sizes", "tensors", "numbers"), [(None, 373, 303_461_586), (VIT_B, 193, 85_881_810)])
def test_names_and_sizes_are_those_of_the_published_checkpoints(
    sizes: DinoSizes | None, tensors: int, numbers: int
) -> None:
    """The files have 1,213,987,717 and 343,599,997 bytes: these numbers, and fewer than 400 bytes for each tensor."""
    with torch.device("meta"):
        network = CellposeDINO(sizes)
    state = network.state_dict()
    assert (len(state), sum(value.numel() for value in state.values())) == (tensors, numbers)
    assert (network.tile, network.stride, network.nout) == (384, 8, 3)
    width, last = network.sizes.width, network.sizes.blocks - 1
    some = {
        "W2": (192, 3, 8, 8),
        "diam_mean": (1,),
        "encoder.cls_token": (1, 1, width),
        "encoder.storage_tokens": (1, 4, width),
        "encoder.mask_token": (1, width),
        "encoder.patch_embed.proj.weight": (width, 3, 16, 16),
        "encoder.rope_embed.periods": (16,),
        f"encoder.blocks.{last}.attn.qkv.weight": (3 * width, width),
        f"encoder.blocks.{last}.attn.qkv.bias_mask": (3 * width,),
        f"encoder.blocks.{last}.ls1.gamma": (width,),
        f"encoder.blocks.{last}.mlp.fc1.weight": (4 * width, width),
        "encoder.norm.bias": (width,),
        "out.weight": (192, width),
    }
    assert {name: tuple(state[name].shape) for name in some} == some


def turned_one_by_one(x: Tensor, h: int, w: int, periods: list[float]) -> Tensor:
    """Queries or keys (tokens, head) of one head: each pair of numbers as a complex one, turned by its own angle."""
    out, half = x.clone(), x.shape[1] // 2
    first = len(x) - h * w
    for token in range(h * w):
        place = (2 * (token // w + 0.5) / h - 1, 2 * (token % w + 0.5) / w - 1)
        for i in range(half):
            angle = 2 * pi * place[i // len(periods)] / periods[i % len(periods)]
            number = complex(float(x[first + token, i]), float(x[first + token, i + half])) * cmath.exp(1j * angle)
            out[first + token, i], out[first + token, i + half] = number.real, number.imag
    return out


def plain_attention(layer: _Attention, x: Tensor, h: int, w: int, periods: list[float]) -> Tensor:
    """Attention written out, head by head: keys without a bias, all but the first tokens turned by their places."""
    _, tokens, width = x.shape
    head = width // layer.heads
    bias = layer.qkv.bias.clone()
    bias[width : 2 * width] = 0
    out = torch.zeros_like(x)
    for i, one in enumerate(x):
        qkv = (one @ layer.qkv.weight.T + bias).view(tokens, 3, layer.heads, head)
        for j in range(layer.heads):
            q, k = (turned_one_by_one(qkv[:, part, j], h, w, periods) for part in (0, 1))
            out[i, :, j * head : (j + 1) * head] = (q @ k.T / head**0.5).softmax(dim=1) @ qkv[:, 2, j]
    return layer.proj(out)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("h", "w"), [(2, 3), (4, 4), (1, 5)])
def test_attention_is_as_defined(h: int, w: int) -> None:
    torch.manual_seed(h)
    layer = _Attention(SMALL).requires_grad_(False)
    x = torch.randn(2, 3 + h * w, 24)
    periods = [1.0, 10.0]  # of a head of 8: 100 ** (0 / 2) and 100 ** (1 / 2)
    found = layer(x, _Positions(SMALL)(h, w))
    assert torch.allclose(found, plain_attention(layer, x, h, w, periods), atol=1e-5)


def test_positions_worked_out_by_hand() -> None:
    cos, sin = _Positions(SMALL)(2, 1)  # rows at -1/2 and 1/2, the only column at 0
    assert cos.shape == (2, 4)
    assert cos.tolist() == [pytest.approx([-1, torch.tensor(0.1 * pi).cos().item(), 1, 1])] * 2
    assert sin[:, 1].tolist() == pytest.approx(
        [-torch.tensor(0.1 * pi).sin().item(), torch.tensor(0.1 * pi).sin().item()]
    )


def test_a_block_is_as_defined() -> None:
    torch.manual_seed(5)
    block = _Block(SMALL).requires_grad_(False)
    for scale in (block.ls1, block.ls2):
        scale.gamma.normal_()
    x, turn = torch.randn(1, 7, 24), _Positions(SMALL)(2, 2)

    def norm(x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()

    middle = x + block.ls1.gamma * block.attn(norm(x), turn)
    inner = norm(middle) @ block.mlp.fc1.weight.T + block.mlp.fc1.bias
    inner = inner * (1 + torch.erf(inner / 2**0.5)) / 2
    wanted = middle + block.ls2.gamma * (inner @ block.mlp.fc2.weight.T + block.mlp.fc2.bias)
    assert torch.allclose(block(x, turn), wanted, atol=1e-5)


def test_a_token_sees_its_pixels_and_half_of_its_neighbours() -> None:
    network = made()
    x = torch.randn(1, 3, 16, 24)
    around = F.pad(x, (2, 2, 2, 2))[0]
    conv = network.encoder.patch_embed.proj
    found = network.encoder.patch_embed(x)
    assert found.shape == (1, 24, 4, 6)
    for i, j in ((0, 0), (1, 2), (3, 5)):
        seen = around[:, 4 * i : 4 * i + 8, 4 * j : 4 * j + 8]
        assert torch.allclose(found[0, :, i, j], (conv.weight * seen).sum((1, 2, 3)) + conv.bias, atol=1e-5)


def test_tokens_become_the_pixels_of_their_step() -> None:
    """All but the readout's bias is 0: each pixel is its own number of it."""
    network = made(DinoSizes(patch=4, step=2, width=8, heads=1, hidden=4, blocks=0, storage=1, nout=2))
    network.out.weight.zero_()
    network.out.bias.copy_(torch.arange(8.0))
    out = network(torch.rand(1, 3, 6, 6))
    assert out.shape == (1, 2, 6, 6)
    assert out[0, 0, :2, :2].tolist() == [[0, 1], [2, 3]]
    assert out[0, 1, 4:, 2:4].tolist() == [[4, 5], [6, 7]]


def test_what_stands_in_place_of_the_bias_of_keys_and_the_mask_token_do_not_count() -> None:
    network, x = made(), torch.rand(1, 3, 32, 32)
    before = network(x)
    network.encoder.mask_token.fill_(9)
    network.encoder.blocks[0].attn.qkv.bias[24:48] = 7.0
    assert torch.equal(network(x), before)
    for name in ("cls_token", "storage_tokens"):
        getattr(network.encoder, name).add_(1)
        assert not torch.allclose(network(x), before)


def test_positions_are_shares_of_the_tile() -> None:
    """The same pixels in a larger tile get other numbers: so all tiles of a run have one side."""
    network, x = made(), torch.rand(1, 3, 32, 32)
    wider = network(F.pad(x, (0, 32, 0, 32)))
    assert wider.shape == (1, 3, 64, 64)
    assert float((wider[..., :16, :16] - network(x)[..., :16, :16]).abs().max()) > 1e-3


def test_tiles_of_a_batch_do_not_know_of_one_another() -> None:
    network, x = made(), torch.rand(3, 3, 32, 32)
    assert torch.allclose(network(x), torch.cat([network(x[i : i + 1]) for i in range(3)]), atol=1e-5)


def test_bfloat16_is_near_float32() -> None:
    network, x = made(), torch.rand(2, 3, 32, 32)
    exact = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(x).float()
    whole = network.bfloat16()(x.bfloat16()).float()
    for found in (rough, whole):
        assert 0 < float((found - exact).norm() / exact.norm()) < 0.03


def test_other_tiles_are_refused() -> None:
    network = made()
    for shape in ((1, 3, 32, 30), (1, 2, 32, 32)):
        with pytest.raises(ValueError, match=r"multiples of 4; found"):
            network(torch.zeros(shape))


def test_sizes_that_cannot_be() -> None:
    for wrong in ({"width": 24, "heads": 5}, {"width": 18, "heads": 3}):
        with pytest.raises(ValueError, match="heads"):
            DinoSizes(**wrong)
    for step in (0, 5, 17):
        with pytest.raises(ValueError, match="steps"):
            DinoSizes(step=step)
