"""Memory of driver and workers while gigabytes of voxels that are on no disk go end to end: a curve, to see it flat.

    python benchmarks/curve.py [--extent 800,800,800] [--block 160,160,160] [--workers 2] [--every 5]

The default is 8.2 GB of flows (float32, four channels, made as they are read). Every few seconds a line of JSON:
seconds since the start, stage, tasks done of how many, and in MB what driver and each worker hold, and the most that
any worker has held so far. The last line has the peaks, the plan's figures, and by how much the workers' peak grew
after the first tenth of the lines.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import psutil
from scale import as_zyx

import bigcell
from bigcell.engine.runtime.events import Event, StageStarted, TaskDone
from bigcell.testing.flows import FlowLattice
from bigcell.testing.virtual import VirtualVolume


class Curve:
    """A listener that prints what is held, every few seconds."""

    def __init__(self, every: float) -> None:
        self.every, self.begun, self.last = every, time.monotonic(), 0.0
        self.stage, self.done, self.total = "", 0, 0
        self.peak = 0.0
        self.points: list[tuple[float, float]] = []
        """MB of the driver, and the most MB that any worker has held so far."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self.stage, self.done, self.total = event.stage, event.done, event.total
        elif isinstance(event, TaskDone):
            self.done += 1
            self.peak = max(self.peak, event.peak_bytes / 1e6)
            self._look(time.monotonic() - self.begun)

    def _look(self, seconds: float) -> None:
        if seconds - self.last < self.every:
            return
        self.last = seconds
        driver, workers = held()
        self.points.append((driver, self.peak))
        point = {"seconds": round(seconds), "stage": self.stage, "done": self.done, "total": self.total}
        mb = {"driver_mb": round(driver), "workers_mb": [round(w) for w in workers], "peak_mb": round(self.peak)}
        print(json.dumps({**point, **mb}), flush=True)

    def grown(self) -> float:
        """The workers' peak over what it was after the first tenth of the points."""
        return self.peak / self.points[len(self.points) // 10][1]


def held() -> tuple[float, list[float]]:
    """MB that this process holds, and that each worker does."""
    this, workers = psutil.Process(os.getpid()), []
    for child in this.children(recursive=True):
        try:
            size = child.memory_info().rss / 1e6
        except psutil.NoSuchProcess:
            continue
        if size > 50:  # no worker is smaller; those that only look after others are
            workers.append(size)
    return this.memory_info().rss / 1e6, workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extent", type=as_zyx, default=(800, 800, 800))
    parser.add_argument("--block", type=as_zyx, default=(160, 160, 160))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cluster", default="processes")
    parser.add_argument("--every", type=float, default=5.0)
    options = parser.parse_args()
    flows = VirtualVolume(FlowLattice(options.extent, diameter=18, noise=0.5), (80, 80, 80))
    curve = Curve(options.every)
    run = {"block": options.block, "workers": options.workers}
    plan = bigcell.plan(flows=flows, **run)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.zarr"
        result = bigcell.segment(flows=flows, output=out, cluster=options.cluster, listener=curve, **run)
    z, y, x = options.extent
    peaks = {"driver_mb": round(max(driver for driver, _ in curve.points)), "worker_mb": round(curve.peak)}
    planned = {
        "planned_driver_mb": round(plan.budget.driver / 1e6),
        "planned_worker_mb": round(plan.budget.worker / 1e6),
    }
    run_for = {"gigabytes": round(z * y * x * 16 / 1e9, 2), "seconds": round(time.monotonic() - curve.begun)}
    print(json.dumps({**run_for, "objects": result.objects, **peaks, **planned, "grown": round(curve.grown(), 3)}))


if __name__ == "__main__":
    main()
