"""What driving many blocks costs, and what planning a huge volume costs; nothing but labels is written to disk.

    python benchmarks/scale.py [--blocks 1000 10000 100000] [--block 1,16,16] [--cluster processes] [--workers 2]
    python benchmarks/scale.py --loop [--blocks 1000 10000 100000]
    python benchmarks/scale.py --plan 10000,10000,10000

A virtual volume of flows of cells on a lattice, with known truth, stands in for the network, and blocks are tiny, so
that the driver has as much to do as it can have. Prints one line of JSON for each number of blocks: the driver's CPU
time and the growth of its peak memory, in all and per block over all stages, after a first run over a hundred blocks
has loaded what there is to load; the seconds of each stage; and how well cells in a sample of boxes agree with the
truth.
`--loop` puts steps that do nothing in the place of all, in the driver's own process: what is left is the loop and the
journal, for a run from the start and for one that finds everything done (half a minute for 100,000 blocks).
`--plan` prints seconds and peak memory of planning an image, and the flows, of that extent.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from math import isqrt
from pathlib import Path

import numpy as np

import bigcell
from bigcell.core.box import Box
from bigcell.engine.tasks.perform import peak_bytes
from bigcell.engine.tasks.stages import STAGES
from bigcell.io.ngff.image import open_image
from bigcell.metrics.matching import compare
from bigcell.testing.flows import FlowLattice
from bigcell.testing.idle import NOTES, drive_blocks
from bigcell.testing.virtual import LatticeImage, VirtualVolume

Zyx = tuple[int, int, int]
DIAMETER = 8.0
SAMPLES = 20


def main() -> None:
    options = _options()
    if options.child:
        print(json.dumps(_plan(options) if options.plan else (_loop if options.loop else _drive)(options)))
        return
    counts = [0] if options.plan else options.blocks
    for count in counts:
        run = [sys.executable, __file__, "--child", "--cluster", options.cluster, "--workers", str(options.workers)]
        run += ["--block", _text(options.block), "--blocks", str(count)]
        run += ["--plan", _text(options.plan)] if options.plan else ["--loop"] * options.loop
        print(subprocess.run(run, capture_output=True, text=True, check=True).stdout, end="", flush=True)


def _drive(options: argparse.Namespace) -> dict[str, object]:
    """One run over `options.blocks[0]` blocks, and what it took of this process."""
    with tempfile.TemporaryDirectory() as folder:
        _segment(100, options, Path(folder) / "first.zarr")
        cpu, clock, peak = time.process_time(), time.perf_counter(), peak_bytes()
        lattice, result = _segment(options.blocks[0], options, Path(folder) / "out.zarr")
        cpu, seconds, grown = time.process_time() - cpu, time.perf_counter() - clock, peak_bytes() - peak
        blocks = result.stages["follow_flows"]["tasks"]
        return {
            "blocks": blocks,
            "tasks": sum(s["tasks"] for s in result.stages.values()),
            "driver_seconds": round(cpu, 2),
            "driver_ms_per_block": round(1e3 * cpu / blocks, 3),
            "driver_mb": round(grown / 1e6, 1),
            "driver_kb_per_block": round(grown / 1e3 / blocks, 3),
            "seconds": round(seconds, 1),
            "stages": {name: s["seconds"] for name, s in result.stages.items()},
            "objects": result.objects,
            "f1": round(_agreement(lattice, result), 4),
        }


def _loop(options: argparse.Namespace) -> dict[str, object]:
    """The loop over blocks of one voxel, twice: from the start, and with everything done."""
    for stage, note in NOTES.items():
        STAGES[stage] = STAGES[stage].running(lambda job, item, note=note: dict(note))
    side = isqrt(options.blocks[0])
    with tempfile.TemporaryDirectory() as folder:
        drive_blocks(9, Path(folder) / "first")
        found: dict[str, object] = {"blocks": side**2}
        for what in ("start", "resume"):
            cpu, peak = time.process_time(), peak_bytes()
            drive_blocks(side, Path(folder) / "scratch")
            found[f"{what}_ms_per_block"] = round(1e3 * (time.process_time() - cpu) / side**2, 3)
            found[f"{what}_kb_per_block"] = round((peak_bytes() - peak) / 1e3 / side**2, 3)
        return found


def _segment(count: int, options: argparse.Namespace, out: Path) -> tuple[FlowLattice, bigcell.Result]:
    lattice = FlowLattice(_extent(count, options.block), diameter=DIAMETER, noise=0.2)
    flows = VirtualVolume(lattice, options.block)
    run = {"output": out, "block": options.block, "cluster": options.cluster, "workers": options.workers}
    return lattice, bigcell.segment(flows=flows, diameter=DIAMETER, **run)


def _extent(count: int, block: Zyx) -> Zyx:
    """The extent of about `count` blocks: a square of them if they are flat, else a cube."""
    if block[0] == 1:
        rows = max(1, isqrt(count))
        return 1, rows * block[1], -(-count // rows) * block[2]
    side = max(1, round(count ** (1 / 3)))
    return side * block[0], side * block[1], -(-count // side**2) * block[2]


def _agreement(lattice: FlowLattice, result: bigcell.Result) -> float:
    """F1 at an IoU of 0.5 of the labels in a sample of boxes, cells that are cut alike included."""
    labels = open_image(str(result.path))
    rng, scores = np.random.default_rng(0), []
    for _ in range(SAMPLES):
        start = tuple(int(rng.integers(0, max(1, n - 64))) for n in lattice.extent)
        box = Box(start, tuple(min(a + 64, n) for a, n in zip(start, lattice.extent, strict=True)))
        found = labels.read(box)[0]
        scores.append(compare(_numbered(lattice.truth(box)), _numbered(found)).f1)
    return float(np.mean(scores))


def _numbered(labels: np.ndarray) -> np.ndarray:
    values, number = np.unique(labels, return_inverse=True)
    return (number + (values[0] != 0)).reshape(labels.shape)


def _plan(options: argparse.Namespace) -> dict[str, object]:
    lattice = FlowLattice(options.plan)
    found: dict[str, object] = {"extent": options.plan}
    for what, volumes in {"image": {"image": LatticeImage(lattice)}, "flows": {"flows": lattice}}.items():
        begun = time.perf_counter()
        plan = bigcell.plan(**{role: VirtualVolume(source) for role, source in volumes.items()})
        found[f"{what}_seconds"] = round(time.perf_counter() - begun, 2)
        found[f"{what}_blocks"] = len(plan.grid)
    return {**found, "peak_mb": round(peak_bytes() / 1e6)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--block", type=as_zyx, default=(1, 16, 16))
    parser.add_argument("--cluster", default="processes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--loop", action="store_true")
    parser.add_argument("--plan", type=as_zyx)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def as_zyx(text: str) -> Zyx:
    z, y, x = (int(n) for n in text.split(","))
    return z, y, x


def _text(numbers: Zyx) -> str:
    return ",".join(map(str, numbers))


if __name__ == "__main__":
    main()
