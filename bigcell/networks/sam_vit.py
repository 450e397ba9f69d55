"""CellposeSAM: the transformer of Cellpose 4 (Pachitariu, Rariden, Stringer 2025, bioRxiv 2025.04.28.651001).

It is the image encoder of Segment Anything (Kirillov et al. 2023, ViT-L) on patches of 8 x 8 pixels, with attention
over the whole tile in every block, and a linear readout from tokens to pixels. The names of the parts are those of the
published checkpoints, so that their state dicts load without a translation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-6
WINDOW, WHOLE = 27, 127  # lengths of SAM's tables for attention in windows of 14 tokens, and over all its 64
_VIT_L = tuple(WHOLE if i % 6 == 5 else WINDOW for i in range(24))


@dataclass(frozen=True)
class SamSizes:
    """The sizes of a `CellposeSAM`; the defaults are those of the published one, ViT-L.

    Tokens stand on a `grid` x `grid` lattice of `patch` x `patch` pixels. `spans`: for each block the length of its
    two tables of relative positions; a length other than 2 grid - 1 is resampled.
    """

    patch: int = 8
    grid: int = 32
    channels: int = 3
    width: int = 1024
    heads: int = 16
    hidden: int = 4096
    neck: int = 256
    nout: int = 3
    spans: tuple[int, ...] = _VIT_L

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a width of {self.width}")

    @property
    def tile(self) -> int:
        """Side of the only tile that the network takes, in pixels."""
        return self.patch * self.grid


class _Attention(nn.Module):
    """Attention of all tokens to all, with decomposed relative positions (Li et al. 2022, MViTv2, section 4.1)."""

    def __init__(self, width: int, heads: int, span: int) -> None:
        super().__init__()
        self.heads, depth = heads, width // heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(span, depth))
        self.rel_pos_w = nn.Parameter(torch.zeros(span, depth))

    def forward(self, x: Tensor) -> Tensor:
        """(n, h, w, width) -> the same shape."""
        n, h, w, width = x.shape
        q, k, v = self.qkv(x).view(n, h * w, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k = self._with_positions(q, k, h, w)
        v = F.pad(v, (0, h + w))  # the fused kernels want q, k and v of one depth
        mixed = F.scaled_dot_product_attention(q, k, v, scale=1.0)[..., : width // self.heads]
        return self.proj(mixed.transpose(1, 2).reshape(n, h, w, width))  # type: ignore[no-any-return]

    def _with_positions(self, q: Tensor, k: Tensor, h: int, w: int) -> tuple[Tensor, Tensor]:
        """Queries and keys (n, heads, tokens, depth + h + w) whose products are the scores, positions included.

        The score of query i and key j is q_i . k_j / sqrt(depth) + q_i . R(rows apart) + q_i . R(columns apart). The
        last two depend on the key's row and column only: they go into h + w further places of the query, and the key
        picks its own two with ones. So there is no array of tokens x tokens, and any fused kernel serves.
        """
        grid = q.view(*q.shape[:2], h, w, -1)
        rows = torch.einsum("nayxd,ykd->nayxk", grid, _apart(self.rel_pos_h, h).to(q.dtype)).flatten(2, 3)
        columns = torch.einsum("nayxd,xkd->nayxk", grid, _apart(self.rel_pos_w, w).to(q.dtype)).flatten(2, 3)
        place = torch.arange(h * w, device=k.device)
        own = torch.cat([F.one_hot(place // w, h), F.one_hot(place % w, w)], dim=-1).to(k.dtype)
        scaled = q * q.shape[-1] ** -0.5
        return torch.cat([scaled, rows, columns], dim=-1), torch.cat([k, own.expand(*k.shape[:3], -1)], dim=-1)


def _apart(table: Tensor, size: int) -> Tensor:
    """Row ``[i, j]`` is the table's entry for positions i and j, i - j apart: (size, size, depth)."""
    if len(table) != 2 * size - 1:
        table = F.interpolate(table.float().T[None], size=2 * size - 1, mode="linear")[0].T
    place = torch.arange(size, device=table.device)
    return table[place[:, None] - place[None, :] + size - 1]


class _Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(F.gelu(self.lin1(x)))  # type: ignore[no-any-return]


class _Block(nn.Module):
    def __init__(self, sizes: SamSizes, span: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=EPS)
        self.attn = _Attention(sizes.width, sizes.heads, span)
        self.norm2 = nn.LayerNorm(sizes.width, eps=EPS)
        self.mlp = _Mlp(sizes.width, sizes.hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of (n, channels, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Patches(nn.Module):
    def __init__(self, sizes: SamSizes) -> None:
        super().__init__()
        self.proj = nn.Conv2d(sizes.channels, sizes.width, sizes.patch, stride=sizes.patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).permute(0, 2, 3, 1)  # type: ignore[no-any-return]


class _Encoder(nn.Module):
    def __init__(self, sizes: SamSizes) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, sizes.grid, sizes.grid, sizes.width))
        self.patch_embed = _Patches(sizes)
        self.blocks = nn.ModuleList(_Block(sizes, span) for span in sizes.spans)
        self.neck = nn.Sequential(
            nn.Conv2d(sizes.width, sizes.neck, 1, bias=False),
            _ChannelNorm(sizes.neck, eps=EPS),
            nn.Conv2d(sizes.neck, sizes.neck, 3, padding=1, bias=False),
            _ChannelNorm(sizes.neck, eps=EPS),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, neck, grid, grid)."""
        x = self.patch_embed(x) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2))  # type: ignore[no-any-return]


class CellposeSAM(nn.Module):
    """Image tiles to flows: float32 ``(n, channels, tile, tile)`` -> ``(n, nout, tile, tile)``.

    The first outputs are the flow along h and along w, both 5 times a unit vector, and the logit of being inside a
    cell. Positions are learned for one size of tile (256): no other is taken. It has no style. `diam_mean` is the cell
    diameter in pixels that it was trained at, `diam_labels` the median diameter of what it was trained on.
    """

    kind: ClassVar[str] = "Cellpose-SAM"
    resizable: ClassVar[bool] = False
    diam_mean: nn.Parameter
    diam_labels: nn.Parameter
    W2: nn.Parameter

    def __init__(self, sizes: SamSizes | None = None, *, diam_mean: float = 30.0) -> None:
        super().__init__()
        sizes = SamSizes() if sizes is None else sizes
        self.sizes, self.nout, self.channels = sizes, sizes.nout, sizes.channels
        self.stride, self.tile = sizes.patch, sizes.tile
        self.diam_labels = nn.Parameter(torch.full((1,), float(diam_mean)), requires_grad=False)
        self.diam_mean = nn.Parameter(torch.full((1,), float(diam_mean)), requires_grad=False)
        pixels = sizes.nout * sizes.patch**2
        spread = torch.eye(pixels).reshape(pixels, sizes.nout, sizes.patch, sizes.patch)
        self.W2 = nn.Parameter(spread, requires_grad=False)  # from a token's numbers to its pixels; not learned
        self.encoder = _Encoder(sizes)
        self.out = nn.Conv2d(sizes.neck, pixels, 1)

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != (self.channels, self.tile, self.tile):
            wanted = (self.channels, self.tile, self.tile)
            raise ValueError(f"this network takes tiles of (channels, h, w) = {wanted}; found {tuple(x.shape[1:])}")
        return F.conv_transpose2d(self.out(self.encoder(x)), self.W2, stride=self.stride)
