"""CPnet as a CPU likes it: the same function with fewer passes over memory.

Batch norms without a ReLU behind them are folded into the convolution after them, batch norms behind a convolution
into that one; its ReLU and the sums of residuals are done by oneDNN while it still holds the output. Tiles go through
one at a time, so that a tile's features stay near the core. On the CPU only, in float32 or bfloat16.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 - its customary name
from torch import Tensor, nn

from bigcell.networks.cpnet import CPnet

_TOLERANCE = 1e-4


def fuse(network: nn.Module, dtype: torch.dtype = torch.float32) -> FusedCPnet | None:
    """`network` in its fused form, or None where there is none: another network, or a torch without what it needs.

    The operators are those that torch's own compiler calls, and are no promise of torch's: so they are tried on a small
    tile first, and left alone unless they give what the network gives.
    """
    if not isinstance(network, CPnet) or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    side = 8 * network.stride
    tile = torch.linspace(-1, 1, network.channels * side * side).sin().view(1, network.channels, side, side)
    try:
        with torch.inference_mode():
            want, got = network(tile), FusedCPnet(network, torch.float32)(tile)
            made = FusedCPnet(network, dtype)
            made(tile)
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):
        return None
    return made if float((got - want).norm()) <= _TOLERANCE * float(want.norm()) else None


class FusedCPnet:
    """float32 (n, channels, h, w) -> float32 (n, nout, h, w), as `CPnet` but for rounding."""

    def __init__(self, network: CPnet, dtype: torch.dtype) -> None:
        self.dtype, self.style_on = dtype, network.style_on
        self.down = [_Down(block, dtype) for block in network.downsample.down]
        self.up = [_Up(block, dtype) for block in network.upsample.up]
        norm, _, conv = cast(Any, network.output)
        self.output = (_Affine.of(norm, dtype), _Conv.of(conv, dtype))

    def __call__(self, tiles: Tensor) -> Tensor:
        return torch.cat([self._one(tile[None]) for tile in tiles])

    def _one(self, tile: Tensor) -> Tensor:
        x = tile.to(self.dtype).contiguous(memory_format=torch.channels_last)
        levels: list[Tensor] = []
        for i, down in enumerate(self.down):
            levels.append(down(x if i == 0 else F.max_pool2d(levels[-1], 2)))
        style = levels[-1].mean(dim=(2, 3), dtype=torch.float32)
        style = F.normalize(style, eps=1e-30) if self.style_on else style * 0
        x = levels[-1]
        for i in reversed(range(len(self.up))):
            x = self.up[i](x, levels.pop(), style, larger=i < len(self.up) - 1)
        affine, conv = self.output
        return conv(affine(x)).float()


@dataclass
class _Affine:
    """``relu(scale * x + shift)`` by channel, what is left of a batch norm and its ReLU."""

    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, norm: nn.BatchNorm2d, dtype: torch.dtype) -> _Affine:
        scale, shift = _scale_shift(norm)
        return cls(scale.to(dtype), shift.to(dtype))

    def __call__(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        """`shift` instead of the own one, where the style adds to it."""
        b = self.shift if shift is None else shift
        if x.dtype == torch.float32:
            return torch.addcmul(b.view(1, -1, 1, 1), x, self.scale.view(1, -1, 1, 1)).relu_()
        return _pointwise(x, self.scale.view(-1, 1, 1, 1), b, 0, len(b), "relu")  # a depthwise convolution: one pass


@dataclass
class _Conv:
    """A convolution that keeps the size; its weights are laid out for the machine at its first tile."""

    weight: Tensor
    bias: Tensor
    packed: dict[tuple[int, ...], Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        conv: nn.Conv2d,
        dtype: torch.dtype,
        before: nn.BatchNorm2d | None = None,
        after: nn.BatchNorm2d | None = None,
    ) -> _Conv:
        """The convolution with the norms `before` (1x1 only: no border) and `after` it folded in."""
        assert conv.bias is not None
        weight, bias = conv.weight.double(), conv.bias.double()
        if before is not None:
            scale, shift = _scale_shift(before)
            bias = bias + weight[:, :, 0, 0] @ shift
            weight = weight * scale[None, :, None, None]
        if after is not None:
            scale, shift = _scale_shift(after)
            weight, bias = weight * scale[:, None, None, None], bias * scale + shift
        return cls(weight.to(dtype).contiguous(memory_format=torch.channels_last), bias.to(dtype))

    def __call__(self, x: Tensor, *, relu: bool = False, bias: Tensor | None = None) -> Tensor:
        b = self.bias if bias is None else bias
        return _pointwise(x, self._weight(x), b, self.weight.shape[2] // 2, 1, "relu" if relu else "none")

    def add_into(self, total: Tensor, x: Tensor) -> Tensor:
        """`total` plus the convolution of `x`, in the memory of `total`."""
        pad, one = [self.weight.shape[2] // 2] * 2, [1, 1]
        packed = self._weight(x)
        added: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            total, x, packed, self.bias, pad, one, one, 1, "add", None, None, [], None
        )
        return added

    def _weight(self, x: Tensor) -> Tensor:
        shape = tuple(x.shape)
        packed = self.packed.get(shape)
        if packed is None:
            pad, one = [self.weight.shape[2] // 2] * 2, [1, 1]
            packed = torch.ops.mkldnn._reorder_convolution_weight(self.weight, pad, one, one, 1, list(shape))
            self.packed = {shape: packed}  # of one shape at a time: tiles of a lattice have few
        return packed


class _Down:
    """A residual block on the way down."""

    def __init__(self, block: Any, dtype: torch.dtype) -> None:
        norms, convs = _parts([block.conv[i] for i in range(4)])
        self.proj = _Conv.of(block.proj[1], dtype, before=block.proj[0])
        self.enter = _Affine.of(norms[0], dtype), _Affine.of(norms[2], dtype)
        self.first = _Conv.of(convs[0], dtype, after=norms[1]), _Conv.of(convs[2], dtype, after=norms[3])
        self.second = _Conv.of(convs[1], dtype), _Conv.of(convs[3], dtype)

    def __call__(self, x: Tensor) -> Tensor:
        total = self.proj(x)
        for i, before in ((0, x), (1, total)):
            total = self.second[i].add_into(total, self.first[i](self.enter[i](before), relu=True))
        return total


class _Up:
    """A residual block on the way up, with the skip connection, and style in its last three convolutions."""

    def __init__(self, block: Any, dtype: torch.dtype) -> None:
        norms, convs = _parts([block.conv[0], *(block.conv[i].conv for i in range(1, 4))])
        self.proj = _Conv.of(block.proj[1], dtype, before=block.proj[0])
        self.enter = [_Affine.of(norm, dtype) for norm in norms[:3]]
        self.conv = [_Conv.of(conv, dtype) for conv in convs]
        self.conv[2] = _Conv.of(convs[2], dtype, after=norms[3])
        self.enlarge = _enlarging(convs[0], dtype)
        self.style = [_style_shift(block.conv[i].full, norms[i]) for i in range(1, 4)]
        self.style[2] = (self.style[2][0], self.style[2][1] + _folded_bias(convs[2], norms[3]))

    def __call__(self, x: Tensor, skip: Tensor, style: Tensor, *, larger: bool) -> Tensor:
        """`skip` is used up. `larger`: `x` is of half the size of `skip`."""
        shift = [(F.linear(style, weight, bias)[0]).to(x.dtype) for weight, bias in self.style]
        total, entered = self.proj(x), self.enter[0](x)
        if larger:  # what is done pixel by pixel is done before there are four times as many
            total = F.interpolate(total, scale_factor=2, mode="nearest")
            weight, bias = self.enlarge
            joined = skip.add_(F.conv_transpose2d(entered, weight, bias, stride=2, padding=1))
        else:
            joined = self.conv[0].add_into(skip, entered)
        total = self.conv[1].add_into(total, self.enter[1](joined, shift[0]))
        inner = self.conv[2](self.enter[2](total, shift[1]), relu=True, bias=shift[2])
        return self.conv[3].add_into(total, inner)


def _enlarging(conv: nn.Conv2d, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight and bias of the transposed convolution that is `conv` of an image of twice the size, pixels doubled.

    Of the three rows that a row of the larger image sees two are copies of one, so their weights add up: an even row
    sees w1 + w2 of its own pixel and w0 of the one before, an odd one w0 + w1 and w2 of the next. Four products in
    place of nine.
    """
    assert conv.bias is not None
    rows = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=torch.float64)
    weight = torch.einsum("ar,bs,dcrs->cdab", rows, rows, conv.weight.double())
    return weight.to(dtype).contiguous(), conv.bias.to(dtype)


def _parts(sequences: list[Any]) -> tuple[list[nn.BatchNorm2d], list[nn.Conv2d]]:
    """Norms and convolutions of (norm, ReLU, convolution) sequences."""
    return [s[0] for s in sequences], [s[2] for s in sequences]


def _scale_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A batch norm as ``scale * x + shift``, float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    return scale, norm.bias.double() - norm.running_mean.double() * scale


def _style_shift(full: nn.Linear, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias, float32, that make of the style the shift of `norm`, the style's own addition included."""
    scale, shift = _scale_shift(norm)
    weight, bias = full.weight.double() * scale[:, None], full.bias.double() * scale + shift
    return weight.float(), bias.float()


def _folded_bias(conv: nn.Conv2d, after: nn.BatchNorm2d) -> Tensor:
    """What the bias of `conv` becomes behind the scale of `after`."""
    assert conv.bias is not None
    return (conv.bias.double() * _scale_shift(after)[0]).float()


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor, pad: int, groups: int, then: str) -> Tensor:
    made: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, weight, bias, [pad, pad], [1, 1], [1, 1], groups, then, [], ""
    )
    return made
