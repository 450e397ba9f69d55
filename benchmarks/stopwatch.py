"""Seconds and peak memory of one call, measured the same way in every environment (numpy only)."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

Work = Callable[[], Mapping[str, np.ndarray]]
Prepare = Callable[[Path], Work]


def measure(call: Work, *, seconds: float = 3.0, most: int = 5) -> tuple[dict[str, float], Mapping[str, np.ndarray]]:
    """Run `call` until `seconds` are over, at least once and at most `most` times; the best time, and the most memory
    that any run held beyond what was there before it (Linux: resident, with what the call answers)."""
    times, peaks, out = [], [], call
    while not times or (sum(times) < seconds and len(times) < most):
        out = None
        gc.collect()
        before = _forget_peak()
        start = time.perf_counter()
        out = call()
        times.append(time.perf_counter() - start)
        peaks.append(_status("VmHWM") - before)
    return {"seconds": min(times), "runs": len(times), "peak_extra": max(peaks)}, out


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise KeyError(field)


def _forget_peak() -> int:
    """Bytes resident now; the peak is counted from here."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def main(works: Mapping[str, tuple[Prepare, str]]) -> None:
    """WORK DATA SET OUT: run a work on a set in the folder DATA, after a small one that compiles what is compiled;
    write what was measured to OUT.json and what it answered to OUT.npz."""
    name, data, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[4])
    prepare, small = works[name]
    if small:
        prepare(data / small)()
    figures, answer = measure(prepare(data / sys.argv[3]))
    np.savez(out.with_suffix(".npz"), **answer)
    out.with_suffix(".json").write_text(json.dumps(figures))
