"""Job: everything a task needs to do its part, small enough to be sent to a worker with every task."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.lru import ByteLimitedLRUCache
from bigcell.core.volume import Array, Volume
from bigcell.dynamics.follow import flow_array
from bigcell.dynamics.window import integer_flows_into
from bigcell.engine.planning.bad_chunks import read_sound
from bigcell.engine.planning.foreground import (
    NOTHING,
    active_blocks,
    clear_outside,
    foreground_parts,
    is_active,
    tile_group_is_active,
)
from bigcell.engine.planning.memory_cost import PLANES_PER_READ
from bigcell.engine.planning.plan import Plan
from bigcell.flows.smooth import smooth_flows, smoothing_window
from bigcell.io.ngff.flow_store import FlowStore
from bigcell.io.scratch import Scratch
from bigcell.io.tables import ObjectTable
from bigcell.preprocess.foreground import Foreground
from bigcell.preprocess.rescale import GridPair, flows_to_image
from bigcell.provenance.journal import Journal
from bigcell.tiling.grid import BlockGrid
from bigcell.tiling.lattice import Lattice

BLANK_IMAGE = "blank"
"""The log of the scratch that has a line if the image is the same all over, so that no network need look at it."""
RECENT = 2**24
"""Bytes of tables that a worker keeps for the tasks to come."""


class Level(Protocol):
    """One resolution of the labels: `shard` is what one task writes, `factor` relative to the level before."""

    @property
    def extent(self) -> tuple[int, int, int]: ...
    @property
    def shard(self) -> tuple[int, int, int]: ...
    @property
    def factor(self) -> tuple[int, int, int]: ...


class Labels(Protocol):
    """Where final labels go, level by level."""

    @property
    def levels(self) -> Sequence[Level]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def write(self, level: int, box: Box, values: Array) -> None: ...
    def read(self, level: int, box: Box) -> Array: ...


@dataclass(frozen=True)
class Job:
    """`image` is segmented by the plan's model, or `given` holds flows from elsewhere; `scratch` is the work place.

    `offsets` (ids before each layer of blocks, and in all), `labels` and `table` are filled in as the run goes on.
    Flows are also written to `kept`, where there is such a store.
    """

    plan: Plan
    image: Volume | None
    given: Volume | None
    scratch: Scratch
    offsets: tuple[int, ...] = ()
    labels: Labels | None = None
    table: ObjectTable | None = None
    kept: FlowStore | None = None

    @cached_property
    def grid(self) -> BlockGrid:
        return self.plan.grid

    @cached_property
    def lattice(self) -> Lattice:
        return self.plan.lattice

    @cached_property
    def grids(self) -> GridPair:
        return self.plan.grids

    @cached_property
    def recent(self) -> ByteLimitedLRUCache[Any]:
        """Tables that tasks of one stage read one after the other."""
        return ByteLimitedLRUCache(RECENT)

    @property
    def whole(self) -> Box:
        return Box.of(self.plan.extent)

    @property
    def foreground(self) -> Foreground | None:
        """Where there may be cells; None for everywhere."""
        note = self.plan.foreground
        return None if note is None else note.load(self.scratch)

    @cached_property
    def is_blank(self) -> bool:
        """Whether the image, whose contrast is known, has none in any channel: then nothing is in it."""
        return any(True for _ in self.scratch.lines(BLANK_IMAGE))

    def is_active(self, block: int) -> bool:
        """Whether a block is worked on at all; the others hold nothing, and have no entries in the scratch."""
        foreground = self.foreground
        return foreground is None or is_active(foreground, self.grid.core(block))

    def active_blocks(self, blocks: range) -> Sequence[int]:
        """Those of `blocks` that are worked on."""
        if self.foreground is None:
            return blocks
        every = active_blocks(self.foreground, self.grid)
        first, last = np.searchsorted(every, [blocks.start, blocks.stop])
        return array("q", every[first:last].tobytes())

    def tile_group_is_active(self, cube: int) -> bool:
        """Whether the network is run for a cube of tiles."""
        foreground = self.foreground
        return foreground is None or tile_group_is_active(self.plan, foreground, cube)

    @property
    def journal(self) -> Journal:
        return Journal(self.scratch)

    def read_image(self, box: Box) -> Array:
        """The image in `box`, (channel, z, y, x); with chunks that cannot be read as the plan has it."""
        assert self.image is not None
        return read_sound(self.image, box, self.plan.settings.on_bad_chunk, self.scratch)

    def flows(self, window: Box) -> Array:
        """Integer flows (4, *window) int16 on the volume's own grid, smoothed if asked, from scratch or elsewhere.

        Outside the foreground they are those of background that does not move, and nothing is read for them.
        """
        foreground = self.foreground
        if not self.is_blank and (foreground is None or foreground.covers(window)):
            return self._all_flows(window)
        flows = flow_array((4, *window.shape))
        flows[3] = NOTHING
        if self.is_blank or foreground is None:
            return flows
        for slab in _slabs(window):
            for part in foreground_parts(foreground, self.grid, slab):
                values = self._all_flows(part)
                clear_outside(values, foreground, part)
                flows[(slice(None), *part.relative_to(window).slices)] = values
        return flows

    def _all_flows(self, window: Box) -> Array:
        sigma = self.plan.settings.flows.smooth
        if not any(sigma):
            return self._raw_flows(window)
        source = smoothing_window(window, self.plan.extent, sigma)
        return smooth_flows(self._raw_flows(source), source, window, sigma)

    def _raw_flows(self, window: Box) -> Array:
        if self.given is not None:
            return self._given_flows(window)
        box = self.grids.network_box(window)
        total = flow_array((4, *box.shape))
        for cube in filter(self.tile_group_is_active, self.lattice.covering(box)):
            footprint = self.lattice.footprint(cube)
            part = footprint & box
            if not part.is_empty:
                held = self.scratch.load_dense(f"flows/{cube}", part.relative_to(footprint))
                total[(slice(None), *part.relative_to(box).slices)] += held
        return total if self.grids.is_identity else flows_to_image(total, box, window, self.grids)

    def _given_flows(self, window: Box) -> Array:
        """Flows from elsewhere as integers, a few planes at a time to hold little."""
        assert self.given is not None
        flows = flow_array((4, *window.shape))
        for slab in _slabs(window):
            values = read_sound(self.given, slab, self.plan.settings.on_bad_chunk, self.scratch)
            first = slab.start[0] - window.start[0]
            part = flows[4 - len(values) :, first : first + slab.shape[0]]  # a plane may lack dz
            if values.dtype == np.int16:  # kept by an earlier run: integers already
                part[...] = values
            elif not integer_flows_into(values, part):
                raise InputError(
                    f"the flows hold values that are not finite in {slab}; wanted finite dz, dy, dx and cell "
                    "probability everywhere: mend the flows"
                )
        return flows


def _slabs(window: Box) -> Iterator[Box]:
    """`window` a few planes at a time, cut where the chunks of a store are likely to end."""
    first, last = window.start[0], window.stop[0]
    cuts = [first, *range(first // PLANES_PER_READ * PLANES_PER_READ + PLANES_PER_READ, last, PLANES_PER_READ), last]
    for a, b in pairwise(cuts):
        yield Box((a, *window.start[1:]), (b, *window.stop[1:]))
