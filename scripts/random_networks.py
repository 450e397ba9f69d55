"""Networks with weights from a seed: for tests that need a network's shapes and arithmetic, and no knowledge."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from bigcell.testing.weights import weights_from_seed

_FIXED = ("W2", "periods", "bias_mask")
Net = TypeVar("Net", bound=nn.Module)


def random_network(network: Net, seed: int = 0, *, gain: float = 1.0) -> Net:
    """`network` in eval mode with the weights of `seed`, all but those that are never learned.

    Scales of a transformer's branches are near 1. `gain` times the weights of a transformer's readout: the more, the
    more of its pixels seem to be inside a cell.
    """
    state = network.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items() if not name.endswith(_FIXED)}
    for name, value in weights_from_seed(shapes, seed).items():
        if name.endswith(".gamma"):
            value += 1
        state[name] = torch.from_numpy(value) * (gain if name == "out.weight" else 1)
    network.load_state_dict(state)
    return network.requires_grad_(False).eval()
