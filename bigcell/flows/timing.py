"""How fast a network runs here: tried, not guessed."""

from __future__ import annotations

import time

import torch

from bigcell.flows.predict import Network


def seconds_per_tile(network: Network, channels: int, side: tuple[int, int]) -> float:
    """Seconds for one tile of `side` (h, w), after one call to warm up."""
    tile = torch.zeros((1, channels, *side)).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        network(tile)
        begun = time.perf_counter()
        network(tile)
    return time.perf_counter() - begun
