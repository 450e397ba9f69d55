"""What it costs to make one numbering and one table of the objects of many blocks, on one core.

    python benchmarks/merge.py [--objects 10000000] [--blocks 100000] [--folder DIR]

Writes what the blocks of a volume know of their objects, as the stage `label_blocks` leaves it: boxes of random sizes
at random places of a lattice, each known in part by every block that it reaches into. Then runs the stages from there
to the object table (`merge_objects`, `assign_ids`, `write_table`) in this process, looks up the final ids of all pieces
(`ids`), as the stage that writes labels does, and compares the table with the boxes. Prints one line of JSON: CPU
seconds of each stage with the loop and the journal, CPU and clock seconds in all, and the most memory that the process
has held. DIR (a temporary folder) takes 25 kB a block of 100 objects.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path

import numpy as np

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.dynamics.settings import GROW_STEPS
from bigcell.engine.pipeline.displacement_bounds import DisplacementBounds
from bigcell.engine.pipeline.lazy_tasks import LazyTasks
from bigcell.engine.pipeline.segment import number_objects, write_table
from bigcell.engine.pipeline.stage_runner import Run
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.request import Request
from bigcell.engine.tasks.job import Job
from bigcell.engine.tasks.objects import save_pieces
from bigcell.engine.tasks.perform import peak_bytes
from bigcell.engine.tasks.write_labels import final_ids
from bigcell.io.scratch import DiskScratch
from bigcell.io.tables import ObjectTable, read_parts
from bigcell.stitch.pieces import Pieces
from bigcell.testing.flows import FlowLattice
from bigcell.testing.virtual import VirtualVolume
from bigcell.tiling.grid import BlockGrid

SIDE = 64
"""Voxels along each side of a block."""


@dataclass(frozen=True)
class Boxes:
    """Boxes around the points of a lattice of about `count` points over `extent`; equal for equal places."""

    extent: tuple[int, ...]
    count: int

    @property
    def pitch(self) -> float:
        """Voxels from point to point, about."""
        return float((prod(self.extent) / self.count) ** (1 / 3))

    @property
    def points(self) -> tuple[int, ...]:
        """Points along each axis."""
        return tuple(ceil(n / self.pitch) for n in self.extent)

    @property
    def reach(self) -> int:
        """The furthest that a box reaches from its sink."""
        return ceil(0.6 * self.pitch)

    def near(self, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Those that meet `box`: names (n,), ascending, low and high (n, 3)."""
        sides = []
        for a, b, n, count in zip(box.start, box.stop, self.extent, self.points, strict=True):
            first, last = (int((v * count) // n) for v in (a - self.reach, b + self.reach))
            sides.append(np.arange(max(0, first - 1), min(count, last + 2)))
        point = np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 3)
        code = np.ravel_multi_index(tuple(point.T), self.points).astype(np.uint64)
        dice = [(_mixed(code + np.uint64(i << 40)) % np.uint64(1000)).astype(np.int64) / 1000 for i in range(6)]
        size, pitch = np.array(self.extent), np.array(self.extent) / np.array(self.points)
        sink = np.minimum(((point + 0.35 + 0.3 * np.stack(dice[:3], 1)) * pitch).astype(np.int64), size - 1)
        half = 1 + ((0.2 + 0.3 * np.stack(dice[3:], 1)) * pitch).astype(np.int64)
        low, high = np.maximum(sink - half, 0), np.minimum(sink + half, size)
        name = np.ravel_multi_index(tuple(sink.T), self.extent) + 1
        meets = np.flatnonzero(((low < box.stop) & (high > box.start)).all(1))
        order = meets[np.argsort(name[meets])]
        return name[order], low[order], high[order]

    def pieces(self, box: Box) -> Pieces:
        """What a block over `box` knows of them."""
        name, low, high = self.near(box)
        return measured(name, np.maximum(low, box.start), np.minimum(high, box.stop))


def measured(name: np.ndarray, low: np.ndarray, high: np.ndarray) -> Pieces:
    """Boxes as rows of objects."""
    voxels = (high - low).prod(1)
    return Pieces(name, voxels, voxels[:, None] * (low + high - 1) // 2, low, high, np.zeros(len(name), np.int64))


def _mixed(code: np.ndarray) -> np.ndarray:
    """Splitmix64 (Steele and others 2014): numbers that look random."""
    code = code * np.uint64(0x9E3779B97F4A7C15)
    code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return code ^ (code >> np.uint64(31))


def grid_of(blocks: int) -> BlockGrid:
    """At least `blocks` blocks, as near to a cube as can be."""
    side = round(blocks ** (1 / 3))
    counts = (side, side, ceil(blocks / side**2))
    return BlockGrid(tuple(n * SIDE for n in counts), (SIDE,) * 3)


def merge(boxes: Boxes, grid: BlockGrid, folder: Path) -> dict[str, object]:
    """The stages from pieces to the table, and what they took."""
    request = Request(block=(SIDE,) * 3, min_size=1, fill_holes=False)
    plan = make_plan(request, None, VirtualVolume(FlowLattice(grid.extent)))
    run = Run(Job(plan, None, None, DiskScratch(folder / "scratch")))
    begun = time.process_time()
    for k in run.blocks:
        save_pieces(run.job, f"pieces/{k}", boxes.pieces(grid.core(k)))
    found: dict[str, object] = {"blocks": len(grid), "prepared": round(time.process_time() - begun, 1)}
    reach = DisplacementBounds.of(grid, np.full(len(grid), boxes.reach, np.int32))
    held = LazyTasks(len(grid), lambda k: (k, reach.blocks_into(grid.core(k).grow(GROW_STEPS))))
    table, cpu, clock = ObjectTable(folder / "objects.parquet", Spacing()), time.process_time(), time.perf_counter()
    for what, stage in {
        "merge_objects": lambda: run.stage("merge_objects", held),
        "assign_ids": lambda: number_objects(run, {}),
        "ids": lambda: look_up(run),
        "write_table": lambda: write_table(run, table),
    }.items():
        before = time.process_time()
        stage()
        found[what] = round(time.process_time() - before, 1)
    found |= {"cpu_seconds": round(time.process_time() - cpu, 1), "seconds": round(time.perf_counter() - clock, 1)}
    return {**found, "peak_mb": round(peak_bytes() / 1e6), "objects": run.job.offsets[-1]}


def look_up(run: Run) -> None:
    """The final ids of all that the blocks know, as the step that writes labels looks them up."""
    for k in run.blocks:
        assert final_ids(run.job, run.job.scratch.load(f"pieces/{k}")["name"]).all()


def check(boxes: Boxes, folder: Path) -> None:
    """Hold every row against its box. AssertionError where one differs."""
    every = [boxes.near(box) for box in Box.of(boxes.extent).split((SIDE, *boxes.extent[1:]))]
    name, low, high = (np.concatenate([part[i] for part in every]) for i in range(3))
    _, first = np.unique(name, return_index=True)
    low, high, done = low[first], high[first], 0
    for part in read_parts(folder):
        here = slice(done, done + len(part["id"]))
        assert (part["id"] == np.arange(here.start, here.stop) + 1).all()
        assert (part["voxels"] == (high[here] - low[here]).prod(1)).all()
        for i, axis in enumerate("zyx"):
            assert (part[f"{axis}_min"] == low[here, i]).all()
            assert (part[f"{axis}_max"] == high[here, i]).all()
            assert np.allclose(part[axis], (low[here, i] + high[here, i] - 1) / 2, atol=1)
        done = here.stop
    assert done == len(first), f"{done} rows, wanted {len(first)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=10_000_000)
    parser.add_argument("--blocks", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    grid = grid_of(options.blocks)
    boxes = Boxes(grid.extent, options.objects)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = merge(boxes, grid, Path(folder))
        check(boxes, Path(folder) / "objects.parquet")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
