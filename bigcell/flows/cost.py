"""What a network holds in memory, in bytes: for the plan. Constants as measured on a CPU; see `network_cost`."""

from __future__ import annotations

from typing import Any

from bigcell.flows.settings import NetworkCost, Precision

LOADED = 33e6
"""Kernels and buffers of the libraries, once a network has run."""
FORMS = 3.5
"""Times the weights of a CPnet: as loaded, folded, laid out for the machine, and on the way there."""
FEATURES = 8.0
"""Times the channels at the top of a CPnet: numbers per pixel of a tile on its way through."""
TOKEN = 28.0
"""Times its width: numbers that a transformer holds per token."""
TRIAL_PIXELS = 128 * 128
"""Pixels of the tile on which bfloat16 is compared with float32, in float32."""


def network_cost(network: Any, precision: Precision, device: str) -> NetworkCost:
    """The cost of `network`, a CPnet of any size or a transformer.

    Measured against this, peak of a process over one that has imported torch (MB): CPnet of 16 channels at the top
    82 (plan 82), of 32 178 (177), 48 162 (162), 32 on a tile of 448 333 (333), in bfloat16 76 (79), 167 (168);
    Cellpose-SAM of 2 blocks 233 (263), of 6 458 (464); Cellpose-DINO of width 768 and 1 block 184 (263), of 3 300
    (319), in bfloat16 of 2 299 (291).
    """
    weights = 4.0 * sum(p.numel() for p in network.parameters())
    itemsize = 2 if precision == "bfloat16" else 4
    nbase = getattr(network, "nbase", None)
    if nbase is not None:
        top = FEATURES * max(nbase[:2])
        trial = top * 4 * TRIAL_PIXELS if precision == "bfloat16" else 0.0
        held, pixel = FORMS * weights + trial, top * itemsize
    else:
        held, pixel = weights, TOKEN * network.sizes.width / network.stride**2 * 4
    if device == "cpu":
        return NetworkCost(LOADED + held, pixel)
    return NetworkCost(LOADED + weights, 4.0 * (network.channels + 3))  # the device holds the rest
