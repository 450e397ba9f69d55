"""Which network a state dict belongs to, and that network with its sizes read from the shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from bigcell.core.errors import ModelError
from bigcell.networks.cpnet import CPnet
from bigcell.networks.sam_vit import CellposeSAM, SamSizes

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
# Networks that are known and not supported, by a name among their weights.
_KNOWN = (
    (r"encoder\.(cls_token|storage_tokens)", "Cellpose-DINO of Cellpose 4 (cpdino), a DINOv3 transformer"),
    (r"net\.encoder\.", "the SegFormer of Cellpose 3 (transformer_cp3, neurips_cellpose_transformer)"),
    (r"downsample\.down\.conv_down", "a Cellpose network that was trained without residual connections"),
    (r"image_encoder\.", "Segment Anything itself, before Cellpose trained it"),
    (r"(backbone|bbox_|rpn|roi_heads)", "a detection network"),
)
Network = CPnet | CellposeSAM


def build_network(state: Mapping[str, Tensor], *, diameter: float | None = None, style_on: bool = True) -> Network:
    """The network whose weights `state` holds, its sizes read from the shapes: float32, for inference only.

    `diameter` stands in where the weights do not say the cell diameter they were trained at, as those of Cellpose 1.
    `style_on` goes to a CPnet. Raises ModelError where the weights are those of another network, or broken.
    """
    if _DOWN.format(0) in state:
        return build_cpnet(state, diameter=diameter, style_on=style_on)
    if "W2" in state and _BLOCK.format(0) in state:
        return build_sam(state)
    raise ModelError(_foreign(state))


def build_cpnet(state: Mapping[str, Tensor], *, diameter: float | None = None, style_on: bool = True) -> CPnet:
    """As `build_network`, for CPnet of Cellpose 1 to 3. The weights are copied."""
    nbase, nout = _cpnet_sizes(state)
    with torch.device("meta"):
        network = CPnet(nbase, nout, style_on=style_on)
    weights = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    weights = {name: torch.zeros((), dtype=torch.int64) for name in weights} | dict(state)
    _with_diameters(weights, diameter)
    _check_shapes(weights, network)
    network.to_empty(device="cpu").load_state_dict(weights, strict=True)
    _check_numbers(network)
    return network.requires_grad_(False).eval()


def build_sam(state: Mapping[str, Tensor]) -> CellposeSAM:
    """As `build_network`, for the transformer of Cellpose 4. Weights that are float32 are shared, not copied."""
    with torch.device("meta"):
        network = CellposeSAM(_sam_sizes(state))
    weights = dict(state)
    _with_diameters(weights, None)
    _check_shapes(weights, network)
    network.load_state_dict({name: value.float() for name, value in weights.items()}, strict=True, assign=True)
    _check_numbers(network)
    return network.requires_grad_(False).eval()


def _with_diameters(weights: dict[str, Tensor], diameter: float | None) -> None:
    if "diam_mean" not in weights:
        if diameter is None:
            raise ModelError(
                "this checkpoint has no 'diam_mean', the cell diameter it was trained at; those of Cellpose 1 have "
                "none (30 pixels, nuclei 17). Write it into the file: state = torch.load(path, weights_only=True); "
                "state['diam_mean'] = torch.tensor([30.0]); torch.save(state, path)"
            )
        weights["diam_mean"] = torch.tensor([float(diameter)])
    weights.setdefault("diam_labels", weights["diam_mean"])
    for name in ("diam_mean", "diam_labels"):
        if weights[name].numel() == 1:
            weights[name] = weights[name].reshape(1)


def _check_shapes(weights: Mapping[str, Tensor], network: Network) -> None:
    """Before any weight is copied: names and shapes are those that the network has."""
    wanted = network.state_dict()
    for name in wanted.keys() - weights.keys():
        raise ModelError(f"this checkpoint does not fit {_called(network)}: {name!r} is missing; is the file whole?")
    for name in weights.keys() - wanted.keys():
        hint = "; it was trained with concatenation on, which bigcell has not" if "concat" in name else ""
        raise ModelError(f"this checkpoint does not fit {_called(network)}: it holds {name[:80]!r}{hint}")
    for name, value in wanted.items():
        if weights[name].shape != value.shape:
            raise ModelError(
                f"this checkpoint does not fit {_called(network)}: {name!r} has shape {tuple(weights[name].shape)}; "
                f"wanted {tuple(value.shape)}"
            )


def _called(network: Network) -> str:
    if isinstance(network, CPnet):
        return f"a CPnet of {network.nbase} channels"
    return f"a {network.kind} of {len(network.sizes.spans)} blocks of width {network.sizes.width}"


def _check_numbers(network: Network) -> None:
    """Refuse weights that are not finite, and diameters that are none."""
    for name, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise ModelError(f"{name} in this checkpoint holds numbers that are not finite; is the file damaged?")
    for name in ("diam_mean", "diam_labels"):
        if not 0 < float(getattr(network, name)) < 1000:
            found = float(getattr(network, name))
            raise ModelError(f"{name!r} in this checkpoint is {found}; wanted a diameter in pixels")


def _cpnet_sizes(state: Mapping[str, Tensor]) -> tuple[tuple[int, ...], int]:
    """``nbase`` and ``nout`` of the CPnet that `state` belongs to."""
    levels = 0
    while _DOWN.format(levels) in state:
        levels += 1
    if levels < 2 or _HEAD not in state:
        raise ModelError(_foreign(state))
    shapes = [state[_DOWN.format(i)].shape for i in range(levels)] + [state[_HEAD].shape]
    if any(len(shape) != 4 for shape in shapes):
        raise ModelError(f"CPnet's convolutions have four dimensions; found shapes {[tuple(s) for s in shapes]}")
    nbase = (shapes[0][1], *(shape[0] for shape in shapes[:-1]))
    if levels > 8 or min(nbase) < 1 or max(nbase) > 4096 or not 1 <= shapes[-1][0] <= 64:
        raise ModelError(f"a CPnet of {nbase} channels is larger than any that is known; is the file damaged?")
    return nbase, shapes[-1][0]


def _sam_sizes(state: Mapping[str, Tensor]) -> SamSizes:
    """The sizes of the transformer that `state` belongs to."""
    for name, dimensions in _SAM.items():
        if name not in state:
            raise ModelError(f"this checkpoint does not fit a Cellpose-SAM: {name!r} is missing; is the file whole?")
        if state[name].ndim != dimensions or 0 in state[name].shape:
            raise ModelError(
                f"this checkpoint does not fit a Cellpose-SAM: {name!r} has shape {tuple(state[name].shape)}; wanted "
                f"{dimensions} dimensions"
            )
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


def _foreign(state: Mapping[str, Tensor]) -> str:
    """What to say of weights of a network that is not here."""
    wanted = "bigcell runs CPnet of Cellpose 1 to 3 and Cellpose-SAM of Cellpose 4"
    for pattern, what in _KNOWN:
        if any(re.match(pattern, name) for name in state):
            return f"these weights are of {what}; {wanted}"
    some = ", ".join(name[:80] for name in sorted(state)[:3])
    return f"these weights are of a network that is not known: found {len(state)} tensors such as {some}; {wanted}"
