"""What a run knows of the foreground: which blocks and tiles have to do with it, and which are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING, Any

import numpy as np

from bigcell.core.box import Box
from bigcell.core.errors import PlanError
from bigcell.core.volume import Array
from bigcell.flows.smooth import smoothing_window
from bigcell.io.scratch import Scratch
from bigcell.preprocess.foreground import Foreground
from bigcell.tiling.blend import FLOW_BITS
from bigcell.tiling.grid import BlockGrid

if TYPE_CHECKING:
    from bigcell.engine.planning.plan import Plan

ENTRY = "foreground"
"""The entry of the scratch that holds it, for all workers and for whoever resumes the run."""
STRAY = (1 << 15 >> FLOW_BITS) + 3
"""How far beyond the foreground a path may end, in voxels: sampling sees a voxel and a half, and no step is longer."""
NOTHING = np.int16(-(1 << 15))
"""The logit outside the foreground: below any threshold."""

_held: dict[str, Foreground] = {}
_lively: dict[tuple[str, BlockGrid], Array] = {}


@dataclass(frozen=True)
class ForegroundNote:
    """What a plan says of its foreground. `source`: the mask's identity, or the threshold and where it was applied.

    `cells` is their number, `voxels` those of the foreground; `blocks`, `cubes` and `tiles` are those that are worked
    on.
    """

    source: dict[str, Any]
    sha256: str
    side: tuple[int, int, int]
    cells: int
    voxels: int
    blocks: int = 0
    cubes: int = 0
    tiles: int = 0

    def load(self, scratch: Scratch) -> Foreground:
        """The foreground of this run, read once a process: what is held is known by its content."""
        if self.sha256 not in _held:
            try:
                found = Foreground.of_arrays(scratch.load(ENTRY))
            except (FileNotFoundError, KeyError, ValueError) as error:
                raise PlanError(f"the foreground of this run cannot be read ({error}); start over") from error
            if found.sha256 != self.sha256:
                raise PlanError("the foreground in the work folder is not the one that was planned; start over")
            _held.clear()
            _held[self.sha256] = found
        return _held[self.sha256]


def note_of(plan: Plan, foreground: Foreground, source: dict[str, Any]) -> ForegroundNote:
    """What `plan` is to say of `foreground`, with all that is worked on counted."""
    cubes = [k for k in range(len(plan.lattice.cubes)) if sees(plan, foreground, k)] if plan.model else []
    return ForegroundNote(
        source,
        foreground.sha256,
        foreground.side,
        foreground.cells.size,
        foreground.voxels,
        blocks=len(lively(foreground, plan.grid)),
        cubes=len(cubes),
        tiles=sum(plan.lattice.tiles_of(k) for k in cubes),
    )


def is_lively(foreground: Foreground, core: Box) -> bool:
    """Whether a block of that `core` has to be worked on: a voxel of the foreground is in it, or may end in it."""
    return foreground.holds(core.grow(STRAY))


def lively(foreground: Foreground, grid: BlockGrid) -> Array:
    """The numbers of the blocks of a grid that have to be worked on, ascending, (n,) int64."""
    key = (foreground.sha256, grid)
    if key not in _lively:
        _lively.clear()
        every = np.fromiter((is_lively(foreground, grid.core(k)) for k in range(len(grid))), bool, len(grid))
        _lively[key] = np.flatnonzero(every)
    return _lively[key]


def sees(plan: Plan, foreground: Foreground, cube: int) -> bool:
    """Whether the tiles of a cube have a share in the flow at any voxel of the foreground."""
    box, low, high = plan.lattice.footprint(cube), [], []
    for a, b, n, m in zip(box.start, box.stop, plan.extent, plan.grids.network, strict=True):
        same = n == m  # else a voxel takes from the two nearest of the network's grid
        low.append(a if same else max(0, floor((a - 0.5) * n / m - 0.5)))
        high.append(b if same else min(n, ceil((b + 0.5) * n / m - 0.5) + 1))
    decided = Box(tuple(low), tuple(high))
    return foreground.holds(smoothing_window(decided, plan.extent, plan.settings.flows.smooth))


def skipped_notice(plan: Plan) -> str:
    """What to tell of what is skipped."""
    note = plan.foreground
    assert note is not None
    tiles = f", and {plan.lattice.tiles - note.tiles} of {plan.lattice.tiles} network tiles," if plan.model else ""
    return (
        f"{len(plan.grid) - note.blocks} of {len(plan.grid)} blocks{tiles} have to do with no foreground and are "
        f"skipped; {note.voxels / plan.voxels:.1%} of the volume is foreground"
    )


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
