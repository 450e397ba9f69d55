"""CPnet: the residual U-Net with a style vector of Cellpose 1 to 3 (Stringer et al. 2021, Nature Methods 18, 100-106).

The names of the parts are those of the published checkpoints, so that their state dicts load without a translation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS, MOMENTUM = 1e-5, 0.05


def _norm_conv(inside: int, outside: int, size: int, *, active: bool = True) -> nn.Sequential:
    """Batch norm, ReLU (unless not `active`) and a convolution that keeps the size."""
    norm = nn.BatchNorm2d(inside, eps=EPS, momentum=MOMENTUM)
    conv = nn.Conv2d(inside, outside, size, padding=size // 2)
    return nn.Sequential(norm, nn.ReLU(), conv) if active else nn.Sequential(norm, conv)


class _ResDown(nn.Module):
    """Four convolutions in two residual pairs; the first pair's short cut is a 1x1 convolution."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        for i in range(4):
            self.conv.add_module(f"conv_{i}", _norm_conv(inside if i == 0 else outside, outside, 3))
        self.proj = _norm_conv(inside, outside, 1, active=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x) + self.conv[1](self.conv[0](x))
        return x + self.conv[3](self.conv[2](x))  # type: ignore[no-any-return]


class _StyledConv(nn.Module):
    """A convolution whose input is shifted, channel by channel, by what the style says."""

    def __init__(self, inside: int, outside: int, style: int) -> None:
        super().__init__()
        self.conv = _norm_conv(inside, outside, 3)
        self.full = nn.Linear(style, inside)

    def forward(self, style: Tensor, x: Tensor) -> Tensor:
        return self.conv(x + self.full(style)[:, :, None, None])  # type: ignore[no-any-return]


class _ResUp(nn.Module):
    """As `_ResDown`, with the skip connection added after the first convolution, and style in the other three."""

    def __init__(self, inside: int, outside: int, style: int) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        self.conv.add_module("conv_0", _norm_conv(inside, outside, 3))
        for i in range(1, 4):
            self.conv.add_module(f"conv_{i}", _StyledConv(outside, outside, style))
        self.proj = _norm_conv(inside, outside, 1, active=False)

    def forward(self, x: Tensor, skip: Tensor, style: Tensor) -> Tensor:
        x = self.proj(x) + self.conv[1](style, self.conv[0](x) + skip)
        return x + self.conv[3](style, self.conv[2](style, x))  # type: ignore[no-any-return]


class _Downsample(nn.Module):
    def __init__(self, nbase: Sequence[int]) -> None:
        super().__init__()
        self.down = nn.Sequential()
        for i in range(len(nbase) - 1):
            self.down.add_module(f"res_down_{i}", _ResDown(nbase[i], nbase[i + 1]))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of every level, finest first."""
        levels: list[Tensor] = []
        for i, block in enumerate(self.down):
            levels.append(block(x if i == 0 else F.max_pool2d(levels[-1], 2)))
        return levels


class _Upsample(nn.Module):
    def __init__(self, nbase: Sequence[int]) -> None:
        super().__init__()
        self.up = nn.Sequential()
        for i in range(1, len(nbase)):
            self.up.add_module(f"res_up_{i - 1}", _ResUp(nbase[i], nbase[i - 1], nbase[-1]))

    def forward(self, style: Tensor, levels: list[Tensor]) -> Tensor:
        x = levels[-1]
        for i in reversed(range(len(self.up))):
            if i < len(self.up) - 1:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.up[i](x, levels[i], style)
        return x


class CPnet(nn.Module):
    """Image tiles to flows: float32 ``(n, nbase[0], h, w)`` -> ``(n, nout, h, w)``.

    The first outputs are the flow along h and along w, both 5 times a unit vector, and the logit of being inside a
    cell. `h` and `w` must be multiples of `stride`. `diam_mean` is the cell diameter in pixels that it was trained at,
    `diam_labels` the median diameter of what it was trained on. Without `style_on` the style is zero, as in networks
    that Cellpose trained so.
    """

    kind: ClassVar[str] = "CPnet"
    tile: ClassVar[None] = None  # tiles of any side that is a multiple of the stride
    resizable: ClassVar[bool] = True
    diam_mean: nn.Parameter
    diam_labels: nn.Parameter

    def __init__(self, nbase: Sequence[int], nout: int = 3, *, diam_mean: float = 30.0, style_on: bool = True) -> None:
        super().__init__()
        self.nbase, self.nout, self.channels, self.style_on = tuple(nbase), nout, nbase[0], style_on
        self.stride = 2 ** (len(nbase) - 2)
        self.downsample = _Downsample(nbase)
        self.upsample = _Upsample([*nbase[1:], nbase[-1]])
        self.output = _norm_conv(nbase[1], nout, 1)
        self.diam_mean = nn.Parameter(torch.full((1,), float(diam_mean)), requires_grad=False)
        self.diam_labels = nn.Parameter(torch.full((1,), float(diam_mean)), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        levels = self.downsample(x)
        style = _style(levels[-1])
        return self.output(self.upsample(style if self.style_on else style * 0, levels))  # type: ignore[no-any-return]

    def style(self, x: Tensor) -> Tensor:
        """The style of each tile, a unit vector: ``(n, channels, h, w)`` -> ``(n, nbase[-1])``. Half a forward pass."""
        return _style(self.downsample(x)[-1])


def _style(features: Tensor) -> Tensor:
    """The mean of each channel over the tile, as a unit vector."""
    mean = features.mean(dim=(2, 3))
    return mean / mean.square().sum(dim=1, keepdim=True).sqrt()
