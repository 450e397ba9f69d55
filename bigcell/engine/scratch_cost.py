"""What scratch takes on disk, stage after stage or slab by slab, and which of the two a plan asks for.

Bytes of a voxel were measured with ``python benchmarks/scratch.py``.
"""

from __future__ import annotations

from math import ceil, prod
from typing import TYPE_CHECKING

from bigcell.core.box import Box
from bigcell.io.flows import FlowStore
from bigcell.tiling.blend import FLOW_BITS

if TYPE_CHECKING:
    from bigcell.engine.plan import Plan
    from bigcell.engine.wave import Layout, Wave

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
BUSY = 8
"""A slab has so many blocks for each worker: of a part of a stage the last tasks leave workers idle."""
FEWEST = 4
"""A volume of fewer slabs is done stage after stage."""
WORTH = 0.6
"""And so is one where slabs would take more than this share of the scratch."""


def choose_order(plan: Plan, workers: int) -> tuple[int, int]:
    """How many layers of blocks are done together, 0 for stage after stage; and bytes of scratch at any time."""
    layers = len(plan.grid.layers)
    plain = stage_bytes(plan)
    each = ceil(BUSY * workers / len(plan.grid.layers[0]))
    if ceil(layers / each) >= FEWEST:
        rolled = slab_bytes(plan, each)
        if rolled <= WORTH * plain:
            return each, rolled
    return 0, plain


def stage_bytes(plan: Plan) -> int:
    """Scratch where every stage is done with before the next begins: all that there is."""
    network = prod(sum(_sides(plan, axis)) for axis in range(3)) * FLOWS if plan.model else 0.0
    return int(plan.voxels * (sum(PASSING.values()) + LASTING) + network)


def slab_bytes(plan: Plan, layers: int) -> int:
    """The most scratch at any time in slabs of so many layers: the order of the run, gone through with numbers."""
    from bigcell.engine.wave import Layout, Wave

    axis, extent = plan.grid.layer_axis, [1, 1, 1]
    extent[axis] = plan.extent[axis]
    shard = FlowStore.at("", plan.extent).grid.shard
    regions = list(Box.of(tuple(extent)).split(shard)) if plan.keep_flows else []
    wave = Wave(Layout.of(plan, layers, regions))
    now, most = 0.0, 0.0
    while (part := wave.next()) is not None:
        stage, slab, _ = part
        before = set(wave.held)
        if stage == "follow":
            _follow(wave, plan, slab)
        wave.finish(part)
        now += sum(_bytes(plan, wave.layout, *entry) for entry in wave.held - before)
        now += LASTING * _voxels(plan, wave.layout, slab) if stage == "name" else 0.0
        most = max(most, now)
        now -= sum(_bytes(plan, wave.layout, *entry) for entry in wave.released())
    return int(most)


def _follow(wave: Wave, plan: Plan, slab: int) -> None:
    """What following is thought to find: steps and ways as they are in cells, and mail for the slabs around."""
    wave.ways[slab] = max(WAY, round(2 * (plan.settings.diameter or 0)))
    summed = plan.model and plan.settings.flows.views == "sum" and len(plan.lattice.views) > 1
    wave.step = round(STEP * (2 if summed else 1)) << FLOW_BITS
    if not wave.layout.still:
        near = (slab - 1, slab, slab + 1)
        wave.waiting.update((1, s) for s in near if 0 <= s < len(wave.layout.slabs))


def _voxels(plan: Plan, layout: Layout, slab: int) -> int:
    cuts, axis = layout.slabs.cuts, plan.grid.layer_axis
    return plan.voxels // plan.extent[axis] * (cuts[slab + 1] - cuts[slab])


def _bytes(plan: Plan, layout: Layout, kind: str, number: int) -> float:
    """Of a layer of cubes, or of a slab."""
    if kind != "flows":
        return PASSING[kind] * _voxels(plan, layout, number)
    sides = [_sides(plan, axis) for axis in range(3)]
    axis = plan.grid.layer_axis
    return FLOWS * sides[axis][number] * prod(sum(side) for a, side in enumerate(sides) if a != axis)


def _sides(plan: Plan, axis: int) -> list[int]:
    """How long the cubes are along an axis. They overlap."""
    tiles, group, count = plan.lattice.axes[axis], plan.lattice.group, plan.lattice.cubes.counts[axis]
    lasts = [min((i + 1) * group, len(tiles.starts)) - 1 for i in range(count)]
    return [
        min(tiles.starts[last] + tiles.size, tiles.length) - max(0, tiles.starts[i * group])
        for i, last in enumerate(lasts)
    ]
