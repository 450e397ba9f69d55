"""Bounded: memory depends on the block, not on the volume, and is what the plan said. `./scripts/test --scale`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEMORY = Path(__file__).parents[2] / "benchmarks" / "memory.py"
SIZES = ["256,256,256", "512,512,512", "1024,512,512"]


def measured(*arguments: str) -> list[dict[str, float]]:
    run = subprocess.run([sys.executable, str(MEMORY), *arguments], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_a_small_run_stays_within_its_plan() -> None:
    (run,) = measured("--sizes", "96,96,96", "--block", "64,64,64")
    assert 0.7 < run["worker"] / run["planned_worker"] < 1.3
    assert 0.7 < run["driver"] / run["planned_driver"] < 1.3


@pytest.mark.scale
@pytest.mark.timeout(5400)
def test_memory_does_not_grow_with_the_volume() -> None:
    runs = measured("--sizes", *SIZES)
    above = [run["worker"] - run["worker_base"] for run in runs]
    assert max(above) <= 1.1 * min(above), f"workers: {[round(a / 1e6) for a in above]} MB above the baseline"
    drivers = [run["driver"] for run in runs]  # it does hold a little for every block
    assert max(drivers) <= 1.1 * min(drivers), f"drivers: {[round(a / 1e6) for a in drivers]} MB"
    for run in runs:
        for who in ("worker", "driver"):
            assert 0.7 < run[who] / run[f"planned_{who}"] < 1.3, (who, run["extent"])
