"""Two labellings that agree in part, with cells split, merged, missed and extra, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bigcell.core.volume import Array


def draw(seed: int, extent: tuple[int, ...] = (6, 9, 8)) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, [-(-n // 3) for n in extent])
    for axis in range(len(extent)):
        truth = truth.repeat(3, axis)
    truth = truth[tuple(slice(n) for n in extent)]
    found = np.where(rng.random(extent) < 0.3, rng.integers(0, 6, extent), (truth * 7) % 5)
    return truth.astype(np.uint32), found.astype(np.uint64)


@pytest.fixture(scope="session")
def random_pair() -> Callable[..., tuple[Array, Array]]:
    """(seed, extent) -> truth, found."""
    return draw
