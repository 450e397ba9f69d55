"""What scratch takes on disk, stage after stage or slab by slab, and which of the two a plan asks for.

Bytes of a voxel are about twice what ``python benchmarks/scratch.py`` finds of synthetic cells: what networks leave is
noisier and packs worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, prod

from bigcell.core.box import Box
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.slab_schedule import Layout, SlabScheduler
from bigcell.io.ngff.flow_store import FlowStore
from bigcell.tiling.blend import FLOW_BITS

FLOWS = 5.5
"""Bytes for the flows of a voxel of the network's grid."""
PASSING = {"ends": 1.1, "histogram": 0.2, "sinks": 0.1}
"""Bytes of a voxel for what stands until objects are named."""
LASTING = 0.6
"""Bytes of a voxel for labels named by sinks and tables, which stand until the end."""
STEP = 1.5
"""Longest flow that is provided for, in voxels; as often as much as views that are summed."""
WAY = 64
"""Voxels that a voxel is thought to go."""
MIN_BLOCKS_PER_WORKER = 8
"""A slab has so many blocks for each worker: of a part of a stage the last tasks leave workers idle."""
MIN_SLABS, MAX_SLABS = 4, 500
"""A volume of fewer slabs is done stage after stage; more of them would save nothing."""
MIN_PLANES_PER_SLAB = 8
"""Nor would slabs that are thinner than this part of the way that voxels can come."""
LONG = 250
"""And one of more cubes along the axis (about 100,000 planes), each of which is asked every time if it is needed."""
MAX_SCRATCH_SHARE = 0.6
"""And so is one where slabs would take more than this share of the scratch."""


def choose_order(plan: Plan, workers: int) -> tuple[int, int]:
    """How many layers of blocks are done together, 0 for stage after stage; and bytes of scratch at any time."""
    axis = plan.grid.layer_axis
    layers = plan.grid.counts[axis]
    plain = stage_bytes(plan)
    if plan.model and plan.lattice.cubes.counts[axis] > LONG:
        return 0, plain
    thin = _reach(plan) / MIN_PLANES_PER_SLAB / plan.grid.shape[axis]
    each = ceil(max(MIN_BLOCKS_PER_WORKER * workers * layers / len(plan.grid), thin, layers / MAX_SLABS))
    if ceil(layers / each) >= MIN_SLABS:
        rolled = slab_bytes(plan, each)
        if rolled <= MAX_SCRATCH_SHARE * plain:
            return each, rolled
    return 0, plain


def stage_bytes(plan: Plan) -> int:
    """Scratch where every stage is done with before the next begins: all that there is."""
    network = prod(sum(_sides(plan, axis)) for axis in range(3)) * FLOWS if plan.model else 0.0
    return int(plan.voxels * (sum(PASSING.values()) + LASTING) + network)


def slab_bytes(plan: Plan, layers: int) -> int:
    """The most scratch at any time in slabs of so many layers: the order of the run, gone through with numbers."""
    axis, extent = plan.grid.layer_axis, [1, 1, 1]
    extent[axis] = plan.extent[axis]
    shard = FlowStore.at(".", plan.extent).grid.shard
    regions = list(Box.of(tuple(extent)).split(shard)) if plan.keep_flows else []
    wave = SlabScheduler(Layout.of(plan, layers, regions))
    sizes = _Sizes.of(plan, wave.layout.slabs.cuts)
    now, most = 0.0, 0.0
    while (part := wave.next()) is not None:
        stage, slab, _ = part
        before = set(wave.held)
        if stage == "follow_flows":
            _follow(wave, plan, slab)
        wave.finish(part)
        now += sum(sizes.of_entry(*entry) for entry in wave.held - before)
        now += LASTING * sizes.slabs[slab] if stage == "label_blocks" else 0.0
        most = max(most, now)
        now -= sum(sizes.of_entry(*entry) for entry in wave.released())
    return int(most)


@dataclass(frozen=True)
class _Sizes:
    """Voxels of each slab, and of the network's grid in each layer of cubes, what overlaps counted twice."""

    slabs: list[int]
    cubes: list[int]

    @classmethod
    def of(cls, plan: Plan, cuts: Sequence[int]) -> _Sizes:
        axis = plan.grid.layer_axis
        plane = plan.voxels // plan.extent[axis]
        cubes: list[int] = []
        if plan.model:
            across = prod(sum(_sides(plan, a)) for a in range(3) if a != axis)
            cubes = [side * across for side in _sides(plan, axis)]
        return cls([(b - a) * plane for a, b in pairwise(cuts)], cubes)

    def of_entry(self, kind: str, number: int) -> float:
        """Bytes for a layer of cubes, or for a slab."""
        return FLOWS * self.cubes[number] if kind == "flows" else PASSING[kind] * self.slabs[number]


def _follow(wave: SlabScheduler, plan: Plan, slab: int) -> None:
    """What following is thought to find: steps and ways as they are in cells, and mail for the slabs around."""
    wave.went(slab, max(WAY, round(2 * (plan.settings.diameter or 0))))
    wave.step = round(_step(plan) * (1 << FLOW_BITS))
    if not wave.layout.still:
        near = (slab - 1, slab, slab + 1)
        wave.waiting.update((1, s) for s in near if 0 <= s < len(wave.layout.slabs))


def _step(plan: Plan) -> float:
    summed = plan.model and plan.settings.flows.views == "sum" and len(plan.lattice.views) > 1
    return STEP * (2 if summed else 1)


def _reach(plan: Plan) -> float:
    return 0.0 if plan.is_planar else plan.settings.dynamics.niter * _step(plan)


def _sides(plan: Plan, axis: int) -> list[int]:
    """How long the cubes are along an axis. They overlap."""
    tiles, group, count = plan.lattice.axes[axis], plan.lattice.group, plan.lattice.cubes.counts[axis]
    lasts = [min((i + 1) * group, len(tiles.starts)) - 1 for i in range(count)]
    return [
        min(tiles.starts[last] + tiles.size, tiles.length) - max(0, tiles.starts[i * group])
        for i, last in enumerate(lasts)
    ]
