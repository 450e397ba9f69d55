"""Which network a state dict belongs to, and that network with its sizes read from the shapes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from bigcell.core.errors import ModelError
from bigcell.networks.cpnet import CPnet
from bigcell.networks.dino_vit import CellposeDINO
from bigcell.networks.layout import cpnet_sizes, dino_sizes, family, foreign, sam_sizes
from bigcell.networks.sam_vit import CellposeSAM

Network = CPnet | CellposeSAM | CellposeDINO
CELLPOSE_4 = 30.0
"""Cell diameter in pixels of every network of Cellpose 4, which scales images to it whatever a file says."""


def build_network(state: Mapping[str, Tensor], *, diameter: float | None = None, style_on: bool = True) -> Network:
    """The network whose weights `state` holds, its sizes read from the shapes: float32, for inference only.

    `diameter` stands in where the weights do not say the cell diameter they were trained at, as those of Cellpose 1.
    `style_on` goes to a CPnet. Raises ModelError where the weights are those of another network, or broken.
    """
    match family(state):
        case "CPnet":
            return build_cpnet(state, diameter=diameter, style_on=style_on)
        case "Cellpose-SAM":
            return build_sam(state)
        case "Cellpose-DINO":
            return build_dino(state)
    raise ModelError(foreign(state))


def build_cpnet(state: Mapping[str, Tensor], *, diameter: float | None = None, style_on: bool = True) -> CPnet:
    """As `build_network`, for CPnet of Cellpose 1 to 3. The weights are copied."""
    nbase, nout = cpnet_sizes(state)
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
        network = CellposeSAM(sam_sizes(state))
    _share(state, network)
    return network


def build_dino(state: Mapping[str, Tensor]) -> CellposeDINO:
    """As `build_sam`, for the transformers `cpdino` and `cpdino-vitb` of Cellpose 4.2."""
    with torch.device("meta"):
        network = CellposeDINO(dino_sizes(state))
    _share(state, network)
    return network


def _share(state: Mapping[str, Tensor], network: CellposeSAM | CellposeDINO) -> None:
    """Give `network`, made without memory, the weights of `state`."""
    weights = dict(state)
    _with_diameters(weights, CELLPOSE_4)
    _check_shapes(weights, network)
    network.load_state_dict({name: value.float() for name, value in weights.items()}, strict=True, assign=True)
    _check_numbers(network)
    network.requires_grad_(False).eval()


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
    return f"a {network.kind} of {len(network.encoder.blocks)} blocks of width {network.sizes.width}"


def _check_numbers(network: Network) -> None:
    """Refuse weights that are not finite, and diameters that are none."""
    for name, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise ModelError(f"{name} in this checkpoint holds numbers that are not finite; is the file damaged?")
    for name in ("diam_mean", "diam_labels"):
        if not 0 < float(getattr(network, name)) < 1000:
            found = float(getattr(network, name))
            raise ModelError(f"{name!r} in this checkpoint is {found}; wanted a diameter in pixels")
