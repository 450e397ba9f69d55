"""CellposeDINO: the transformers `cpdino` and `cpdino-vitb` of Cellpose 4.2.

The encoder is that of DINOv3 (Simeoni et al. 2025, arXiv 2508.10104; ViT-L/16 and ViT-B/16): rotary positions (Su et
al. 2021) that tell where in the tile a token stands, storage tokens beside the class token (Darcet et al. 2024), a
learned scale of each branch (Touvron et al. 2021). Cellpose lets its patches of 16 pixels overlap by half, and reads 8
x 8 pixels out of each token with one linear layer. The names of the parts are those of the published checkpoints, so
that their state dicts load without a translation.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5
BASE = 100.0
"""Ratio of the longest and (one step beyond) the shortest period of the positions."""


@dataclass(frozen=True)
class DinoSizes:
    """The sizes of a `CellposeDINO`; the defaults are those of `cpdino`, ViT-L.

    Tokens see `patch` x `patch` pixels and stand `step` pixels apart. `tile`: the side of the tiles that it learned
    from, in pixels; others are taken too.
    """

    patch: int = 16
    step: int = 8
    channels: int = 3
    width: int = 1024
    heads: int = 16
    hidden: int = 4096
    blocks: int = 24
    storage: int = 4
    nout: int = 3
    tile: int = 384

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width // self.heads % 4:
            raise ValueError(f"{self.heads} heads of a width of {self.width}: wanted heads of a multiple of 4")
        if not 0 < self.step <= self.patch or (self.patch - self.step) % 2:
            raise ValueError(f"steps of {self.step} do not fit patches of {self.patch} pixels")

    @property
    def head(self) -> int:
        """Numbers of a token that one head sees."""
        return self.width // self.heads


VIT_B = DinoSizes(width=768, heads=12, hidden=3072, blocks=12)
"""The sizes of `cpdino-vitb`."""


class _QueryKeyValue(nn.Linear):
    """A linear layer with a mask on its bias: keys have none, and what the file holds in their place does not count."""

    bias_mask: Tensor

    def __init__(self, width: int) -> None:
        super().__init__(width, 3 * width)
        self.register_buffer("bias_mask", torch.tensor([1.0, 0.0, 1.0]).repeat_interleave(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias * self.bias_mask)


class _Attention(nn.Module):
    """Attention of all tokens to all; queries and keys of the patches are turned by where they stand."""

    def __init__(self, sizes: DinoSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.qkv = _QueryKeyValue(sizes.width)
        self.proj = nn.Linear(sizes.width, sizes.width)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """(n, tokens, width) -> the same shape."""
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(_turned(q, *turn), _turned(k, *turn), v)
        return self.proj(mixed.transpose(1, 2).reshape(n, tokens, width))  # type: ignore[no-any-return]


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """`x` (n, heads, tokens, head) with its last tokens, as many as `cos` has, turned by their angles.

    The first half of a head and its second half are the two coordinates of its planes.
    """
    first = x.shape[2] - len(cos)
    a, b = x[:, :, first:].float().chunk(2, dim=-1)
    turned = torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
    return torch.cat([x[:, :, :first], turned.to(x.dtype)], dim=2)


class _Positions(nn.Module):
    """Angles of each patch: rows and columns from -1 to 1 over the tile, in turns of `periods`."""

    periods: Tensor

    def __init__(self, sizes: DinoSizes) -> None:
        super().__init__()
        count = sizes.head // 4
        self.register_buffer("periods", BASE ** (torch.arange(count) / count))

    def forward(self, h: int, w: int) -> tuple[Tensor, Tensor]:
        """Cosine and sine, float32 (h * w, head / 2): first those of the row, then those of the column."""
        rows, columns = ((2 * torch.arange(n, device=self.periods.device) + 1.0) / n - 1 for n in (h, w))
        place = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).view(h * w, 2, 1)
        angles = (2 * pi * place / self.periods.float()).flatten(1)
        return angles.cos(), angles.sin()


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class _Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class _Block(nn.Module):
    def __init__(self, sizes: DinoSizes) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=EPS)
        self.attn = _Attention(sizes)
        self.ls1 = _Scale(sizes.width)
        self.norm2 = nn.LayerNorm(sizes.width, eps=EPS)
        self.mlp = _Mlp(sizes.width, sizes.hidden)
        self.ls2 = _Scale(sizes.width)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x), turn))
        return x + self.ls2(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class _Patches(nn.Module):
    def __init__(self, sizes: DinoSizes) -> None:
        super().__init__()
        around = (sizes.patch - sizes.step) // 2
        self.proj = nn.Conv2d(sizes.channels, sizes.width, sizes.patch, stride=sizes.step, padding=around)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, width, h / step, w / step)."""
        return self.proj(x)  # type: ignore[no-any-return]


class _Encoder(nn.Module):
    def __init__(self, sizes: DinoSizes) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.storage_tokens = nn.Parameter(torch.zeros(1, sizes.storage, sizes.width))
        self.mask_token = nn.Parameter(torch.zeros(1, sizes.width))  # of DINOv3's training; nothing is masked here
        self.patch_embed = _Patches(sizes)
        self.rope_embed = _Positions(sizes)
        self.blocks = nn.ModuleList(_Block(sizes) for _ in range(sizes.blocks))
        self.norm = nn.LayerNorm(sizes.width, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, h / step, w / step, width)."""
        x = self.patch_embed(x)
        n, width, h, w = x.shape
        first = torch.cat([self.cls_token, self.storage_tokens], dim=1).to(x.dtype).expand(n, -1, -1)
        x = torch.cat([first, x.flatten(2).transpose(1, 2)], dim=1)
        turn = self.rope_embed(h, w)
        for block in self.blocks:
            x = block(x, turn)
        return self.norm(x)[:, first.shape[1] :].view(n, h, w, width)  # type: ignore[no-any-return]


class CellposeDINO(nn.Module):
    """Image tiles to flows: float32 ``(n, channels, h, w)`` -> ``(n, nout, h, w)``.

    The first outputs are the flow along h and along w, both 5 times a unit vector, and the logit of being inside a
    cell. `h` and `w` are multiples of `stride`; where a token stands is told as its share of the tile, so that tiles of
    another side than `tile` give other numbers. It has no style. `diam_mean` is the cell diameter in pixels that it was
    trained at, `diam_labels` the median diameter of what it was trained on.
    """

    kind: ClassVar[str] = "Cellpose-DINO"
    resizable: ClassVar[bool] = True
    diam_mean: nn.Parameter
    diam_labels: nn.Parameter
    W2: nn.Parameter

    def __init__(self, sizes: DinoSizes | None = None, *, diam_mean: float = 30.0) -> None:
        super().__init__()
        sizes = DinoSizes() if sizes is None else sizes
        self.sizes, self.nout, self.channels = sizes, sizes.nout, sizes.channels
        self.stride, self.tile = sizes.step, sizes.tile
        self.diam_labels = nn.Parameter(torch.full((1,), float(diam_mean)), requires_grad=False)
        self.diam_mean = nn.Parameter(torch.full((1,), float(diam_mean)), requires_grad=False)
        pixels = sizes.nout * sizes.step**2
        spread = torch.eye(pixels).reshape(pixels, sizes.nout, sizes.step, sizes.step)
        self.W2 = nn.Parameter(spread, requires_grad=False)  # from a token's numbers to its pixels; not learned
        self.encoder = _Encoder(sizes)
        self.out = nn.Linear(sizes.width, pixels)

    def forward(self, x: Tensor) -> Tensor:
        _, channels, h, w = x.shape
        if channels != self.channels or h % self.stride or w % self.stride:
            raise ValueError(
                f"this network takes tiles of {self.channels} channels, h and w multiples of {self.stride}; found "
                f"{tuple(x.shape[1:])}"
            )
        tokens = self.out(self.encoder(x)).permute(0, 3, 1, 2)
        return F.conv_transpose2d(tokens, self.W2, stride=self.stride)
