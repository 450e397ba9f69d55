"""Bytes of scratch: of each kind and voxel, and the most at any time stage after stage and slab by slab.

    python benchmarks/scratch.py --depth 1200 --side 96

Synthetic touching cells stand in for the network; noise in their flows makes them as hard to pack as a network's. One
line of JSON for each order. What plans reckon with (`bigcell.engine.planning.disk_cost`) is about twice as much.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from math import prod
from pathlib import Path

from bigcell.engine.planning.memory_cost import estimate
from bigcell.engine.tasks.stages import STAGES
from bigcell.testing.flows import FlowLattice
from bigcell.testing.oracle import oracle_plan, predict_lattice, run_on_disk


def measure(depth: int, side: int, niter: int) -> None:
    lattice = FlowLattice((depth, side, side), diameter=16, noise=0.5, fill=0.6)
    STAGES["predict_flows"] = STAGES["predict_flows"].running(predict_lattice(lattice))
    plan = oracle_plan(lattice, (24, side, side), niter=niter, tile=48)
    network = sum(plan.lattice.footprint(k).size for k in range(len(plan.lattice.cubes)))
    for slab in (0, 1):
        budget = replace(estimate(plan), slab=slab)
        with tempfile.TemporaryDirectory() as folder:
            labels, watch = run_on_disk(replace(plan, budget=budget), Path(folder))
            left = {kind: size for kind, size in watch.sizes().items() if size}
        each = {
            kind: round(size / (network if kind == "flows" else prod(plan.extent)), 3) for kind, size in left.items()
        }
        told = {"slab": slab, "planned": estimate(plan).scratch, "most": watch.most, "left per voxel": each}
        print(json.dumps({**told, "objects": int(labels.max()), "planned slab": estimate(plan).slab}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=1200)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--niter", type=int, default=40)
    arguments = parser.parse_args()
    measure(arguments.depth, arguments.side, arguments.niter)
