"""Checkpoints: from a file to a state dict, and from its shapes to the network. No pickled object is ever made."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import torch
from torch import Tensor

from bigcell.core.errors import ModelError
from bigcell.networks.cpnet import CPnet

_FIRST = "downsample.down.res_down_{}.conv.conv_0.2.weight"
_LAST = "output.2.weight"
# What torch.load was seen to raise on files with some bytes changed.
_DAMAGE = (
    *(RuntimeError, ValueError, EOFError, OSError, KeyError, IndexError, TypeError, AttributeError, AssertionError),
    *(OverflowError, MemoryError, struct.error, BadZipFile),
)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors in the PyTorch checkpoint at `path`, on the CPU, by name, without a leading ``module.``.

    Raises ModelError where there is no file, where it is not a checkpoint, where it would run code to be read, or where
    it holds anything but tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path} is not a file; wanted a checkpoint with a network's weights, such as model.pt")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} cannot be read as plain weights, and all else might run code: it is not a PyTorch checkpoint, "
            "or it was saved as a whole model; save it with torch.save(network.state_dict(), path)"
        ) from error
    except _DAMAGE as error:
        raise ModelError(f"{path} is not a readable PyTorch checkpoint ({error}); is it cut short?") from error
    return _state_dict(found, path)


def _state_dict(found: object, path: Path) -> dict[str, Tensor]:
    """`found` as names to tensors."""
    if not isinstance(found, Mapping) or not found:
        raise ModelError(f"{path} holds a {type(found).__name__}; wanted a state dict of named tensors")
    state: dict[str, Tensor] = {}
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ModelError(
                f"{path} holds {name!r}, a {type(value).__name__}; wanted a state dict, nothing but tensors by name"
            )
        state[name.removeprefix("module.")] = value
    return state


def build_cpnet(state: Mapping[str, Tensor]) -> CPnet:
    """The CPnet whose weights `state` holds, its sizes read from the shapes: float32, in eval mode.

    Raises ModelError where the weights are those of another network, or broken.
    """
    nbase, nout = _sizes(state)
    network = CPnet(nbase, nout)
    if "diam_mean" not in state:
        raise ModelError("this checkpoint has no 'diam_mean', the cell diameter that it was trained at; is it CPnet's?")
    weights = dict(state)
    weights.setdefault("diam_labels", state["diam_mean"])
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise ModelError(f"this checkpoint does not fit a CPnet of {nbase} channels: {error}") from error
    for name, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise ModelError(f"{name} in this checkpoint holds numbers that are not finite; is the file damaged?")
    if not 0 < float(network.diam_mean) < 1000:
        raise ModelError(f"'diam_mean' in this checkpoint is {float(network.diam_mean)}; wanted a diameter in pixels")
    return network.float().eval()


def _sizes(state: Mapping[str, Tensor]) -> tuple[tuple[int, ...], int]:
    """``nbase`` and ``nout`` of the CPnet that `state` belongs to."""
    levels = 0
    while _FIRST.format(levels) in state:
        levels += 1
    if levels < 2 or _LAST not in state:
        raise ModelError(_foreign(state))
    shapes = [state[_FIRST.format(i)].shape for i in range(levels)] + [state[_LAST].shape]
    if any(len(shape) != 4 for shape in shapes):
        raise ModelError(f"CPnet's convolutions have four dimensions; found shapes {[tuple(s) for s in shapes]}")
    nbase = (shapes[0][1], *(shape[0] for shape in shapes[:-1]))
    if levels > 8 or max(nbase) > 4096 or shapes[-1][0] > 64:
        raise ModelError(f"a CPnet of {nbase} channels is larger than any that is known; is the file damaged?")
    return nbase, shapes[-1][0]


def _foreign(state: Mapping[str, Tensor]) -> str:
    """What to say of weights that are not CPnet's."""
    if any(name.startswith("encoder.") for name in state):
        return (
            "these weights are of a transformer (their names begin with 'encoder.'), as Cellpose-SAM, Cellpose 4, has "
            "them; bigcell does not support that network yet: use a model of Cellpose 1 to 3 (CPnet), or the default"
        )
    some = ", ".join(sorted(state)[:3])
    return f"these weights are not CPnet's, the network of Cellpose 1 to 3: found {len(state)} tensors such as {some}"
