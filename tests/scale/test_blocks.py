"""Many blocks: planned at once, driven in little time and memory, however many they are."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

import bigcell
from bigcell.testing.flows import FlowLattice
from bigcell.testing.virtual import VirtualVolume

SCALE = Path(__file__).parents[2] / "benchmarks" / "scale.py"


def measured(*arguments: str) -> list[dict[str, float]]:
    run = subprocess.run([sys.executable, str(SCALE), *arguments], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_a_million_million_voxels_are_planned_in_no_time_and_memory() -> None:
    flows = VirtualVolume(FlowLattice((10_000, 10_000, 10_000)))
    bigcell.plan(flows=VirtualVolume(FlowLattice((100, 100, 100))))  # loads and compiles what there is
    tracemalloc.start()
    begun = time.perf_counter()
    plan = bigcell.plan(flows=flows, block=(100, 100, 100), workers=1)
    seconds, peak = time.perf_counter() - begun, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(plan.grid) == 1_000_000
    assert seconds < 10
    assert peak < 50e6
    assert len(str(plan)) < 5000


def test_a_block_costs_the_driver_little() -> None:
    small, large = measured("--loop", "--blocks", "400", "2500")
    for run in (small, large):
        assert run["start_ms_per_block"] < 3
        assert run["resume_ms_per_block"] < 3
    assert large["start_kb_per_block"] < 2
    assert large["resume_kb_per_block"] < 2


@pytest.mark.scale
@pytest.mark.timeout(600)
def test_an_image_of_a_million_million_voxels_is_planned_with_its_network() -> None:
    (run,) = measured("--plan", "10000,10000,10000")
    assert run["image_seconds"] < 10
    assert run["peak_mb"] < 1000


@pytest.mark.scale
@pytest.mark.timeout(3600)
def test_what_a_block_costs_is_flat() -> None:
    runs = measured("--loop", "--blocks", "1000", "10000", "100000")
    times = [run["start_ms_per_block"] for run in runs]
    assert max(times) < min(3, 1.5 * min(times)), times
    assert all(run["start_kb_per_block"] < 2 for run in runs[1:]), runs
