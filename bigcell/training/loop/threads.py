"""Torch's threads, kept as they were: numba shares OpenMP with torch, and what runs in parallel there sets its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def kept_threads() -> Iterator[None]:
    """Afterwards torch has as many threads as before.

    Without this a training that was given one thread goes on with as many as there are cores once an image was drawn
    or labels were made: its sums may then differ in their last bits, and on a busy machine a step of 0.07 s took 0.7 s.
    """
    count = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(count)
