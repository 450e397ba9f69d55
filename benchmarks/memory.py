"""Peak memory of workers and driver against the size of the volume, and against what `plan` said.

    python benchmarks/memory.py [--sizes 256,256,256 512,512,512 1024,512,512] [--block 96,96,96] [--workers 2]

Flows are synthetic and stand in for the network (they are written block by block into a temporary folder, at most
3 GB for the largest default size). The baseline is a run over 24^3 voxels. Prints one line of JSON per size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.io.ngff.write_image import write_image
from bigcell.testing.flows import FlowLattice

Zyx = tuple[int, int, int]

DRIVER = """
import json, sys, bigcell
from bigcell.engine.tasks.perform import peak_bytes
tiny, flows, folder, block, workers = sys.argv[1:]
block, workers = tuple(map(int, block.split(","))), int(workers)
def run(source, name):
    out = f"{folder}/{name}.zarr"
    result = bigcell.segment(flows=source, output=out, block=block, workers=workers, cluster="local")
    return result, max(s["peak_bytes"] for s in result.stages.values())
plan = bigcell.plan(flows=flows, block=block, workers=workers)
worker_base = run(tiny, "tiny")[1]
driver_base = peak_bytes()
result, worker = run(flows, "out")
print(json.dumps({
    "worker": worker, "worker_base": worker_base, "planned_worker": plan.budget.worker,
    "driver": peak_bytes(), "driver_base": driver_base, "planned_driver": plan.budget.driver,
    "stages_mb": {k: round(s["peak_bytes"] / 1e6) for k, s in result.stages.items()},
    "seconds": {k: s["seconds"] for k, s in result.stages.items()}, "planned_seconds": round(plan.budget.seconds),
    "objects": result.objects,
}))
"""


class HalfFlows:
    """A lattice of flows as a float16 volume that is made as it is read."""

    def __init__(self, extent: Zyx) -> None:
        self.lattice = FlowLattice(extent, diameter=18, noise=0.5)
        self.extent, self.channels, self.spacing = extent, ("dz", "dy", "dx", "cellprob"), Spacing()
        self.dtype = np.dtype(np.float16)

    def read(self, box: Box) -> np.ndarray:
        return self.lattice.read(box).astype(np.float16)


def measure(extent: Zyx, block: Zyx, workers: int) -> dict[str, object]:
    """One run in a process of its own: what its workers and its driver held at most, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        tiny, flows = Path(folder) / "tiny-flows.zarr", Path(folder) / "flows.zarr"
        write_image(tiny, HalfFlows((24, 24, 24)), levels=1)
        write_image(flows, HalfFlows(extent), levels=1)
        arguments = [str(tiny), str(flows), folder, ",".join(map(str, block)), str(workers)]
        run = subprocess.run([sys.executable, "-c", DRIVER, *arguments], check=True, capture_output=True, text=True)
    return {"extent": extent, **json.loads(run.stdout.strip().splitlines()[-1])}


def triple(text: str) -> Zyx:
    z, y, x = (int(n) for n in text.split(","))
    return (z, y, x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=triple, nargs="+", default=[(256, 256, 256), (512, 512, 512), (1024, 512, 512)])
    parser.add_argument("--block", type=triple, default=(96, 96, 96))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for extent in options.sizes:
        print(json.dumps(measure(extent, options.block, options.workers)), flush=True)


if __name__ == "__main__":
    main()
