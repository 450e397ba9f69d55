"""How fast a network runs here: tried, not guessed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bigcell.flows.predict import Network
from bigcell.flows.runner import trial_tile


def seconds_per_pixel(network: Network, shape: tuple[int, int, int, int], threads: int) -> float:
    """Seconds per pixel of tiles of `shape` (tiles, channels, h, w) on `threads` threads, after a call to warm up."""
    tiles = trial_tile(*shape[1:]).expand(shape).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), _threads(threads):
        network(tiles)
        begun = time.perf_counter()
        network(tiles)
        return (time.perf_counter() - begun) / (shape[0] * shape[2] * shape[3])


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
