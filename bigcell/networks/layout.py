"""What the names and shapes of weights say: which network they are of, and of what sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from bigcell.core.errors import ModelError
from bigcell.networks.dino_vit import DinoSizes
from bigcell.networks.sam_vit import SamSizes

_DOWN = "downsample.down.res_down_{}.conv.conv_0.2.weight"
_HEAD = "output.2.weight"
_BLOCK = "encoder.blocks.{}.attn.rel_pos_h"
_SAM = {
    "encoder.pos_embed": 4,
    "encoder.patch_embed.proj.weight": 4,
    "encoder.blocks.0.attn.qkv.weight": 2,
    "encoder.blocks.0.mlp.lin1.weight": 2,
    "encoder.neck.0.weight": 4,
    "W2": 4,
    "out.weight": 4,
}
_DINO = {
    "encoder.cls_token": 3,
    "encoder.storage_tokens": 3,
    "encoder.patch_embed.proj.weight": 4,
    "encoder.rope_embed.periods": 1,
    "encoder.blocks.0.mlp.fc1.weight": 2,
    "W2": 4,
    "out.weight": 2,
}
_DINO_BLOCK = "encoder.blocks.{}.attn.qkv.weight"
Family = Literal["CPnet", "Cellpose-SAM", "Cellpose-DINO"]
# Networks that are known and not supported, by a name among their weights.
_KNOWN = (
    (r"net\.encoder\.", "the SegFormer of Cellpose 3 (transformer_cp3, neurips_cellpose_transformer)"),
    (r"downsample\.down\.conv_down", "a Cellpose network that was trained without residual connections"),
    (r"image_encoder\.", "Segment Anything itself, before Cellpose trained it"),
    (r"(storage_tokens|cls_token)$", "DINOv3 itself, before Cellpose trained it"),
    (r"(backbone|bbox_|rpn|roi_heads)", "a detection network"),
)


def family(state: Mapping[str, Tensor]) -> Family | None:
    """Which network `state` belongs to, or None: by names that no other has."""
    if _DOWN.format(0) in state:
        return "CPnet"
    if "W2" in state and _BLOCK.format(0) in state:
        return "Cellpose-SAM"
    return "Cellpose-DINO" if "encoder.cls_token" in state else None


def cpnet_sizes(state: Mapping[str, Tensor]) -> tuple[tuple[int, ...], int]:
    """``nbase`` and ``nout`` of the CPnet that `state` belongs to."""
    levels = 0
    while _DOWN.format(levels) in state:
        levels += 1
    if levels < 2 or _HEAD not in state:
        raise ModelError(foreign(state))
    shapes = [state[_DOWN.format(i)].shape for i in range(levels)] + [state[_HEAD].shape]
    if any(len(shape) != 4 for shape in shapes):
        raise ModelError(f"CPnet's convolutions have four dimensions; found shapes {[tuple(s) for s in shapes]}")
    nbase = (shapes[0][1], *(shape[0] for shape in shapes[:-1]))
    if levels > 8 or min(nbase) < 1 or max(nbase) > 4096 or not 1 <= shapes[-1][0] <= 64:
        raise ModelError(f"a CPnet of {nbase} channels is larger than any that is known; is the file damaged?")
    return nbase, shapes[-1][0]


def sam_sizes(state: Mapping[str, Tensor]) -> SamSizes:
    """The sizes of the transformer that `state` belongs to."""
    _check_dimensions(state, _SAM, "Cellpose-SAM")
    spans: list[int] = []
    while (table := state.get(_BLOCK.format(len(spans)))) is not None:
        if table.ndim != 2 or 0 in table.shape:
            raise ModelError(f"{_BLOCK.format(len(spans))!r} has shape {tuple(table.shape)}; wanted a table")
        spans.append(len(table))
    width, channels, patch, _ = state["encoder.patch_embed.proj.weight"].shape
    heads, rest = divmod(width, state[_BLOCK.format(0)].shape[1])
    grid, nout = state["encoder.pos_embed"].shape[1], state["W2"].shape[1]
    if rest or heads < 1 or grid > 1024 or patch > 64 or nout > 64:
        raise ModelError(
            f"a Cellpose-SAM of width {width}, {grid} x {grid} patches of {patch} pixels, {nout} outputs and heads of "
            f"{state[_BLOCK.format(0)].shape[1]} is none that can be; is the file damaged?"
        )
    hidden, neck = (state[name].shape[0] for name in ("encoder.blocks.0.mlp.lin1.weight", "encoder.neck.0.weight"))
    return SamSizes(patch, grid, channels, width, heads, hidden, neck, nout, tuple(spans))


def dino_sizes(state: Mapping[str, Tensor]) -> DinoSizes:
    """The sizes of the DINOv3 transformer that `state` belongs to; those of its tiles are not among the weights."""
    _check_dimensions(state, _DINO, "Cellpose-DINO")
    blocks = 0
    while _DINO_BLOCK.format(blocks) in state:
        blocks += 1
    width, channels, patch, _ = state["encoder.patch_embed.proj.weight"].shape
    head = 4 * len(state["encoder.rope_embed.periods"])
    _, nout, step, _ = state["W2"].shape
    if width % head or not step <= patch <= 64 or (patch - step) % 2 or nout > 64:
        raise ModelError(
            f"a Cellpose-DINO of width {width}, patches of {patch} pixels {step} apart, {nout} outputs and heads of "
            f"{head} is none that can be; is the file damaged?"
        )
    hidden, storage = len(state["encoder.blocks.0.mlp.fc1.weight"]), state["encoder.storage_tokens"].shape[1]
    return DinoSizes(patch, step, channels, width, width // head, hidden, blocks, storage, nout)


def _check_dimensions(state: Mapping[str, Tensor], wanted: Mapping[str, int], network: str) -> None:
    """Before any size is read: the weights that tell it are there, each with as many dimensions as `wanted`."""
    for name, dimensions in wanted.items():
        if name not in state:
            raise ModelError(f"this checkpoint does not fit a {network}: {name!r} is missing; is the file whole?")
        if state[name].ndim != dimensions or 0 in state[name].shape:
            raise ModelError(
                f"this checkpoint does not fit a {network}: {name!r} has shape {tuple(state[name].shape)}; wanted "
                f"{dimensions} dimensions"
            )


def foreign(state: Mapping[str, Tensor]) -> str:
    """What to say of weights of a network that is not here."""
    wanted = "bigcell runs CPnet of Cellpose 1 to 3, Cellpose-SAM and Cellpose-DINO of Cellpose 4"
    for pattern, what in _KNOWN:
        if any(re.match(pattern, name) for name in state):
            return f"these weights are of {what}; {wanted}"
    some = ", ".join(name[:80] for name in sorted(state)[:3])
    return f"these weights are of a network that is not known: found {len(state)} tensors such as {some}; {wanted}"
