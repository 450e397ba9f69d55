"""What this machine can do at most: its rate of matrix products and of copying memory, and what a network asks for.

python benchmarks/limits.py
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import torch

THREADS = 2


def _best(call: Callable[[], object], repeats: int = 5) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def matmul_rate(dtype: torch.dtype, side: int = 2048) -> float:
    """Floating point operations a second of a square matrix product."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    return 2 * side**3 / _best(lambda: a @ b)


def copy_rate(size: int = 1 << 28) -> float:
    """Bytes read and written a second, when 256 MiB are copied."""
    source, target = torch.zeros(size, dtype=torch.uint8), torch.empty(size, dtype=torch.uint8)
    return 2 * size / _best(lambda: target.copy_(source))


def network_work(side: int = 224) -> float:
    """Floating point operations of CPnet (2 channels, 6.6 M parameters) for each pixel it is given."""
    from torch.utils.flop_counter import FlopCounterMode

    from bigcell.networks.cpnet import CPnet

    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        CPnet((2, 32, 64, 128, 256)).eval()(torch.empty(1, 2, side, side))
    return counter.get_total_flops() / side**2


def at_most(a: dict[str, float], b: dict[str, float]) -> dict[str, float]:
    """The better of two measurements: one taken while the machine had other work to do says too little."""
    return {name: max(a[name], b[name]) for name in a}


def limits() -> dict[str, float]:
    torch.set_num_threads(THREADS)
    return {
        "float32": matmul_rate(torch.float32),
        "bfloat16": matmul_rate(torch.bfloat16),
        "copy": copy_rate(),
        "network_work": network_work(),
    }


if __name__ == "__main__":
    print(json.dumps(limits()))
