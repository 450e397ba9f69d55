from __future__ import annotations

import pytest
import torch
from torch import nn

from bigcell.flows.fused import FusedCPnet, fuse
from bigcell.networks.cpnet import CPnet

needs_bfloat16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="oneDNN has no bfloat16 on this machine"
)


def network(nbase: tuple[int, ...] = (2, 8, 12, 16), *, style_on: bool = True) -> CPnet:
    """Random weights, and batch norms that have seen something."""
    torch.manual_seed(3)
    made = CPnet(nbase, style_on=style_on).eval().requires_grad_(False)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.3)
    return made


@pytest.mark.parametrize("style_on", [True, False])
@pytest.mark.parametrize(("nbase", "shape"), [((2, 8, 12, 16), (3, 48, 32)), ((1, 16, 32, 32, 48), (1, 16, 64))])
def test_it_is_the_network_to_a_hundred_thousandth(
    nbase: tuple[int, ...], shape: tuple[int, int, int], style_on: bool
) -> None:
    plain = network(nbase, style_on=style_on)
    x = torch.randn(shape[0], nbase[0], *shape[1:])
    with torch.inference_mode():
        want, got = plain(x), FusedCPnet(plain, torch.float32)(x)
    assert float((got - want).abs().max() / want.abs().max()) < 1e-5


@needs_bfloat16
def test_in_bfloat16_it_is_near() -> None:
    plain = network()
    x = torch.randn(2, 2, 32, 48)
    with torch.inference_mode():
        want, got = plain(x), FusedCPnet(plain, torch.bfloat16)(x)
    assert got.dtype == torch.float32
    assert 1e-6 < float((got - want).norm() / want.norm()) < 0.03


def test_sizes_may_change_between_calls() -> None:
    plain = network()
    fused = FusedCPnet(plain, torch.float32)
    for side in (32, 48, 32):
        x = torch.randn(1, 2, side, 32)
        with torch.inference_mode():
            torch.testing.assert_close(fused(x), plain(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=needs_bfloat16)])
def test_a_tile_does_not_know_its_batch(dtype: torch.dtype) -> None:
    fused = FusedCPnet(network(), dtype)
    x = torch.randn(3, 2, 32, 32)
    with torch.inference_mode():
        assert torch.equal(fused(x)[1:2], fused(x[1:2]))


def test_a_machine_without_bfloat16_has_no_fused_form() -> None:
    """There the plain network runs, which every machine can in some way."""
    assert (fuse(network(), torch.bfloat16) is None) is not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert fuse(network(), torch.float32) is not None


def test_other_networks_have_no_fused_form() -> None:
    assert fuse(nn.Conv2d(2, 3, 1)) is None


def test_operators_that_answer_otherwise_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fuse(network()) is not None
    monkeypatch.setattr("bigcell.flows.fused._pointwise", lambda x, *rest: x)
    assert fuse(network()) is None
