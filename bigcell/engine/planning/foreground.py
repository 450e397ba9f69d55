"""What a run knows of the foreground: which blocks and tiles have to do with it, and which are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor
from typing import Any

import numpy as np

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.engine.planning.foreground_note import ForegroundNote
from bigcell.engine.planning.plan import Plan
from bigcell.flows.smooth import smoothing_window
from bigcell.preprocess.foreground import Foreground
from bigcell.tiling.blend import FLOW_BITS
from bigcell.tiling.grid import BlockGrid

STRAY = (1 << 15 >> FLOW_BITS) + 3
"""How far beyond the foreground a path may end, in voxels: sampling sees a voxel and a half, and no step is longer."""
NOTHING = np.int16(-(1 << 15))
"""The logit outside the foreground: below any threshold."""

_lively: dict[tuple[str, BlockGrid], Array] = {}


def note_of(plan: Plan, foreground: Foreground, source: dict[str, Any]) -> ForegroundNote:
    """What `plan` is to say of `foreground`, with all that is worked on counted."""
    cubes = (
        [k for k in range(len(plan.lattice.cubes)) if tile_group_is_active(plan, foreground, k)] if plan.model else []
    )
    return ForegroundNote(
        source,
        foreground.sha256,
        foreground.side,
        foreground.cells.size,
        foreground.voxels,
        blocks=len(active_blocks(foreground, plan.grid)),
        cubes=len(cubes),
        tiles=sum(plan.lattice.tiles_of(k) for k in cubes),
    )


def is_active(foreground: Foreground, core: Box) -> bool:
    """Whether a block of that `core` has to be worked on: a voxel of the foreground is in it, or may end in it."""
    return foreground.holds(core.grow(STRAY))


def active_blocks(foreground: Foreground, grid: BlockGrid) -> Array:
    """The numbers of the blocks of a grid that have to be worked on, ascending, (n,) int64."""
    key = (foreground.sha256, grid)
    if key not in _lively:
        _lively.clear()
        every = np.fromiter((is_active(foreground, grid.core(k)) for k in range(len(grid))), bool, len(grid))
        _lively[key] = np.flatnonzero(every)
    return _lively[key]


def tile_group_is_active(plan: Plan, foreground: Foreground, cube: int) -> bool:
    """Whether the tiles of a cube have a share in the flow at any voxel of the foreground."""
    box, low, high = plan.lattice.footprint(cube), [], []
    for a, b, n, m in zip(box.start, box.stop, plan.extent, plan.grids.network, strict=True):
        same = n == m  # else a voxel takes from the two nearest of the network's grid
        low.append(a if same else max(0, floor((a - 0.5) * n / m - 0.5)))
        high.append(b if same else min(n, ceil((b + 0.5) * n / m - 0.5) + 1))
    decided = Box(tuple(low), tuple(high))
    return foreground.holds(smoothing_window(decided, plan.extent, plan.settings.flows.smooth))


def foreground_parts(foreground: Foreground, grid: BlockGrid, window: Box) -> Iterator[Box]:
    """Boxes that have all foreground of `window` in them: of each block no more than what holds some."""
    if foreground.covers(window):
        yield window
        return
    for block in grid.touching(window):
        inner = foreground.bounds(grid.core(block) & window)
        if not inner.is_empty:
            yield inner


def clear_outside(flows: Array, foreground: Foreground, box: Box) -> None:
    """Make the integer flows (4, *box) outside the foreground those of background that does not move."""
    if foreground.covers(box):
        return
    inside = foreground.mask(box)
    np.multiply(flows[:3], inside, out=flows[:3])
    flows[3][~inside] = NOTHING
