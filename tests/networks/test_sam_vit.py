"""CellposeSAM: names and sizes as published, attention as it is defined, a network worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bigcell.networks.sam_vit import CellposeSAM, SamSizes, _apart, _Attention

SMALL = SamSizes(patch=4, grid=4, width=12, heads=3, hidden=20, neck=5, spans=(7, 3))


def test_names_and_sizes_are_those_of_the_published_checkpoint() -> None:
    with torch.device("meta"):
        network = CellposeSAM()
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert len(shapes) == 350
    assert sum(value.numel() for value in network.state_dict().values()) == 304_628_930
    assert (network.tile, network.stride, network.nout) == (256, 8, 3)
    some = {
        "W2": (192, 3, 8, 8),
        "diam_mean": (1,),
        "encoder.pos_embed": (1, 32, 32, 1024),
        "encoder.patch_embed.proj.weight": (1024, 3, 8, 8),
        "encoder.blocks.0.attn.rel_pos_h": (27, 64),
        "encoder.blocks.5.attn.rel_pos_w": (127, 64),
        "encoder.blocks.23.attn.qkv.weight": (3072, 1024),
        "encoder.blocks.23.mlp.lin1.bias": (4096,),
        "encoder.neck.2.weight": (256, 256, 3, 3),
        "encoder.neck.3.bias": (256,),
        "out.weight": (192, 256, 1, 1),
    }
    assert {name: shapes[name] for name in some} == some


def plain_attention(layer: _Attention, x: Tensor) -> Tensor:
    """Attention written out, score by score of a head, as MViTv2 defines it."""
    n, h, w, width = x.shape
    depth = width // layer.heads
    out = torch.zeros(n, h * w, width)
    qkv = layer.qkv(x).reshape(n, h * w, 3, layer.heads, depth)
    rows, columns = _apart(layer.rel_pos_h, h), _apart(layer.rel_pos_w, w)
    for i in range(n):
        for head in range(layer.heads):
            q, k, v = (qkv[i, :, part, head] for part in range(3))
            score = q @ k.T / depth**0.5
            for a in range(h * w):
                for b in range(h * w):
                    score[a, b] += q[a] @ rows[a // w, b // w] + q[a] @ columns[a % w, b % w]
            out[i, :, head * depth : (head + 1) * depth] = score.softmax(dim=1) @ v
    return layer.proj(out).reshape(n, h, w, width)  # type: ignore[no-any-return]


@pytest.mark.parametrize("span", [7, 3, 13])
def test_attention_is_as_defined(span: int) -> None:
    torch.manual_seed(span)
    layer = _Attention(12, 3, span)
    torch.nn.init.normal_(layer.rel_pos_h)
    torch.nn.init.normal_(layer.rel_pos_w)
    x = torch.randn(2, 4, 4, 12)
    with torch.no_grad():
        assert torch.allclose(layer(x), plain_attention(layer, x), atol=1e-5)


def test_positions_apart() -> None:
    table = torch.arange(5.0)[:, None]  # 0 .. 4 for -2 .. 2 apart
    assert _apart(table, 3)[..., 0].tolist() == [[2, 1, 0], [3, 2, 1], [4, 3, 2]]
    assert _apart(table[:3], 3)[..., 0].diagonal().tolist() == [1, 1, 1], "resampled, the middle stays the middle"


def test_tokens_become_the_pixels_of_their_patch() -> None:
    """With no block, and all but one path of weights 0: each pixel is its channel's bias."""
    network = CellposeSAM(SamSizes(patch=2, grid=3, width=4, heads=1, hidden=4, neck=2, nout=2, spans=())).eval()
    with torch.no_grad():
        network.out.weight.zero_()
        network.out.bias.copy_(torch.arange(8.0))
        out = network(torch.rand(1, 3, 6, 6))
    assert out.shape == (1, 2, 6, 6)
    assert out[0, 0, :2, :2].tolist() == [[0, 1], [2, 3]]
    assert out[0, 1, 4:, 2:4].tolist() == [[4, 5], [6, 7]]


def test_tiles_of_a_batch_do_not_know_of_one_another() -> None:
    torch.manual_seed(1)
    network, x = CellposeSAM(SMALL).eval(), torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(network(x), torch.cat([network(x[i : i + 1]) for i in range(3)]), atol=1e-5)


def test_bfloat16_is_near_float32() -> None:
    torch.manual_seed(2)
    network, x = CellposeSAM(SMALL).eval(), torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        exact = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(x).float()
        whole = network.bfloat16()(x.bfloat16()).float()
    for found in (rough, whole):
        assert 0 < float((found - exact).norm() / exact.norm()) < 0.03


def test_other_tiles_are_refused() -> None:
    network = CellposeSAM(SMALL)
    for shape in ((1, 3, 16, 12), (1, 3, 32, 32), (1, 2, 16, 16)):
        with pytest.raises(ValueError, match=r"wanted|takes tiles of .* \(3, 16, 16\)"):
            network(torch.zeros(shape))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="divide"):
        SamSizes(width=10, heads=3)
