"""A model as a file that another package loads: a CPnet widened with features that are always 0, for Cellpose 3.1."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bigcell.core.errors import ModelError, OutputError, SettingsError
from bigcell.core.paths import local_path
from bigcell.io.atomic import whole_file
from bigcell.networks.cpnet import CPnet
from bigcell.networks.registry import load_model
from bigcell.training.loop.initialise import ready_to_learn

CELLPOSE3 = (32, 64, 128, 256)
"""The features of the levels that ``cellpose.models.CellposeModel`` of 3.1 builds, whatever the file holds."""
FORMATS = ("cellpose3",)


def export_model(model: str | Path, out: str | Path, *, form: str = "cellpose3", overwrite: bool = False) -> Path:
    """Write `model`, a name or a path, to the file `out` as ``CellposeModel(pretrained_model=out)`` of 3.1 loads it.

    The numbers it gives are the same, to the rounding of float32. ModelError for a network that 3.1 cannot hold.
    """
    if form not in FORMATS:
        raise SettingsError(f"format {form!r}: wanted {' or '.join(FORMATS)}")
    out = local_path(out)
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already; give another path, or --overwrite")
    loaded = load_model(model)
    network = ready_to_learn(loaded.network)
    if not isinstance(network, CPnet):
        raise ModelError(
            f"{model} is a {loaded.kind}; Cellpose 3.1 runs CPnet alone. Cellpose 4 loads its transformers as they are"
        )
    state = widened(network)
    state["diam_mean"] = torch.tensor([loaded.diameter])
    with whole_file(out, RuntimeError) as fresh:
        torch.save(state, fresh)
    return out


def widened(network: CPnet, width: tuple[int, ...] = CELLPOSE3) -> dict[str, Tensor]:
    """The state of a CPnet of `width` features and at least two channels that answers what `network` answers.

    The features that are new are 0 everywhere: their convolutions have no weights and no biases, and batch norm leaves
    0 as it is. Nobody looks at them, or at a new channel, and 0 adds nothing to the length of the style. The network
    itself is not changed.
    """
    if len(network.nbase) - 1 != len(width) or any(a > b for a, b in zip(network.nbase[1:], width, strict=True)):
        raise ModelError(
            f"this CPnet has levels of {', '.join(map(str, network.nbase[1:]))} features; Cellpose 3.1 holds "
            f"{len(width)} levels of at most {', '.join(map(str, width))}"
        )
    with torch.device("meta"):
        wide = CPnet((max(2, network.channels), *width), network.nout)
    shapes = {name: value.shape for name, value in wide.state_dict().items()}
    return {name: _placed(name, value, shapes[name]) for name, value in network.state_dict().items()}


def _placed(name: str, value: Tensor, shape: torch.Size) -> Tensor:
    """`value` in the first places of an array of `shape`; elsewhere what keeps 0 at 0."""
    scale = name.endswith("running_var") or (name.endswith("weight") and value.ndim == 1)
    whole = torch.ones(shape, dtype=value.dtype) if scale else torch.zeros(shape, dtype=value.dtype)
    whole[tuple(slice(0, n) for n in value.shape)] = value.detach()
    return whole
