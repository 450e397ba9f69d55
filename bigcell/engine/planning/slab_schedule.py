"""Slab by slab: which part of which stage comes next, and what nobody needs any more. Numbers alone, no voxels.

A *slab* is some layers of blocks. The network runs for a slab, its voxels are followed, and so on down the road, before
the next slab is begun; a part waits only for the parts of other slabs that it needs. What tells which those are:

- A voxel outside the slabs that were followed can come into them by one step of a length that is not known (`LEAP`) and
  then by as many steps as there are, none of which is longer than the longest flow of the followed slabs. So it is
  known how far away a slab must be to have no more to do with another, before it is followed. The same holds the other
  way: beyond the slabs that were followed a voxel comes no further than mail does.
- Mail lies where its voxels are, and they go on from there in the same way.
- How far the voxels of a slab went is known exactly once all of them have arrived.

Every statement is about what is done, so it holds for whoever did it; a run that is taken up again comes to the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from bigcell.core.box import Box
from bigcell.dynamics.settings import GROW_STEPS, SINK_HALO
from bigcell.engine.planning.plan import Plan
from bigcell.flows.smooth import smoothing_window
from bigcell.tiling.blend import FLOW_BITS
from bigcell.tiling.grid import BlockGrid

LEAP = 34
"""The longest step that int16 can hold is less than 32 voxels; a flow is sampled within 2 voxels."""
LONGEST = 1 << 15
"""The longest flow along an axis that int16 can hold, as an integer."""
SLAB_STAGES = (
    "predict_flows",
    "save_flows",
    "follow_flows",
    "exchange_migrants",
    "collect_ends",
    "find_sinks",
    "label_blocks",
    "merge_objects",
    "filter_by_flow_error",
)
"""The stages that `SlabScheduler` has rules for, in their order. What follows needs no scratch that is large."""

Part = tuple[str, int, int]
"""A stage, a slab, and for mail its turn (0 for all other stages)."""


@dataclass(frozen=True)
class Slabs:
    """`cuts` (n + 1): where the slabs begin and end along the layers' axis; `blocks`: those of each."""

    cuts: tuple[int, ...]
    blocks: tuple[range, ...]

    @classmethod
    def of(cls, grid: BlockGrid, layers: int) -> Slabs:
        """Slabs of so many layers of blocks.

        >>> Slabs.of(BlockGrid((10, 4, 4), (2, 2, 4)), 2)
        Slabs(cuts=(0, 4, 8, 10), blocks=(range(0, 4), range(4, 8), range(8, 10)))
        """
        axis = grid.layer_axis
        groups = [grid.layers[i : i + layers] for i in range(0, len(grid.layers), layers)]
        cuts = [min(i * layers * grid.shape[axis], grid.extent[axis]) for i in range(len(groups) + 1)]
        return cls(tuple(cuts), tuple(range(g[0].start, g[-1].stop) for g in groups))

    def __len__(self) -> int:
        return len(self.blocks)

    def gap(self, one: int, other: int) -> int:
        """Voxels between two slabs."""
        return max(0, self.cuts[one] - self.cuts[other + 1], self.cuts[other] - self.cuts[one + 1])

    def within(self, slab: int, reach: int) -> range:
        """The slabs with at most `reach` voxels between them and `slab`, itself included.

        >>> Slabs((0, 4, 8, 10), (range(0), range(0), range(0))).within(2, 3)
        range(1, 3)
        """
        first = bisect_left(self.cuts, self.cuts[slab] - reach) - 1
        last = bisect_right(self.cuts, self.cuts[slab + 1] + reach)
        return range(max(0, first), min(len(self), last))

    def of_block(self, block: int) -> int:
        """The slab of a block."""
        return bisect_right(self.blocks, block, key=lambda blocks: blocks.start) - 1

    def holding(self, voxel: int) -> int:
        """The slab of a voxel along the layers' axis."""
        return bisect_right(self.cuts, voxel) - 1


@dataclass(frozen=True)
class Layout:
    """What a wave knows beforehand.

    `cover`: the layers of network cubes that a slab's voxels are followed in. `kept`: first and last voxel along the
    axis of what is kept with each slab, where flows are kept. `mail`: voxels between a block and those it can send mail
    to. `still`: whether no voxel leaves its layer.
    """

    slabs: Slabs
    stages: tuple[str, ...]
    cover: tuple[range, ...]
    kept: tuple[tuple[int, int], ...]
    niter: int
    mail: int
    still: bool

    @classmethod
    def of(cls, plan: Plan, layers: int, regions: Iterable[Box] = ()) -> Layout:
        """Of `plan` in slabs of so many layers of blocks. `regions`: where flows are to be kept, if they are."""
        slabs, axis = Slabs.of(plan.grid, layers), plan.grid.layer_axis
        kept = [(0, 0)] * len(slabs)
        for box in regions:
            start, stop = box.start[axis], box.stop[axis]
            at = slabs.holding(stop - 1)
            kept[at] = (min(start, kept[at][0]) if any(kept[at]) else start, max(stop, kept[at][1]))
        left_out = {"predict_flows": not plan.model, "save_flows": not any(map(any, kept))}
        left_out |= dict.fromkeys(("merge_objects", "filter_by_flow_error"), not plan.flow_threshold)
        stages = tuple(stage for stage in SLAB_STAGES if not left_out.get(stage))
        dynamics = plan.settings.dynamics
        cover = tuple(_cover(plan, slabs, s) if plan.model else range(0) for s in range(len(slabs)))
        return cls(slabs, stages, cover, tuple(kept), dynamics.niter, dynamics.halo + LEAP, plan.is_planar)


def cube_layer(plan: Plan, number: int) -> range:
    """The network's cubes that stand at place `number` along the axis of the layers of blocks."""
    counts = plan.lattice.cubes.counts
    each = len(plan.lattice.cubes) // counts[plan.grid.layer_axis]  # an axis before it has one voxel, and so one cube
    return range(number * each, (number + 1) * each)


def _cover(plan: Plan, slabs: Slabs, slab: int) -> range:
    axis, halo = plan.grid.layer_axis, plan.settings.dynamics.halo
    start, stop = [0, 0, 0], [1, 1, 1]
    start[axis], stop[axis] = slabs.cuts[slab] - halo, slabs.cuts[slab + 1] + halo
    window = Box(tuple(start), tuple(stop)) & Box.of(plan.extent)
    box = plan.grids.network_box(smoothing_window(window, plan.extent, plan.settings.flows.smooth))
    tiles, group = plan.lattice.axes[axis], plan.lattice.group
    first = bisect_right(tiles.starts, box.start[axis] - tiles.size)
    last = bisect_left(tiles.starts, box.stop[axis]) - 1
    return range(first // group, last // group + 1)


@dataclass
class SlabScheduler:
    """What is done, as far as it tells what can be done next.

    `ways`: how far the voxels of each slab went. `step`: the longest flow in the slabs that were followed, in steps of
    2^-`FLOW_BITS` voxel. `waiting`: (turn, slab) of mail that lies there.
    """

    layout: Layout
    done: dict[str, set[int]] = field(default_factory=lambda: {stage: set() for stage in SLAB_STAGES})
    failed: set[Part] = field(default_factory=set)
    waiting: set[tuple[int, int]] = field(default_factory=set)
    ways: list[int] = field(default_factory=list)
    step: int = 0
    furthest: int = 0
    """The largest of `ways`."""
    made: set[int] = field(default_factory=set)
    """Layers of cubes that the network was run for."""
    held: set[tuple[str, int]] = field(default_factory=set)
    """Scratch that stands: flows by layer of cubes; ends, histograms and sinks by slab."""

    _first_left: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SLAB_STAGES, 0))

    def __post_init__(self) -> None:
        self.ways = [0] * len(self.layout.slabs)

    def went(self, slab: int, way: int) -> None:
        """Voxels of `slab` went so far, or further."""
        self.ways[slab] = max(self.ways[slab], way)
        self.furthest = max(self.furthest, way)

    @property
    def reach(self) -> int:
        """The most voxels that can lie between a voxel that has not arrived and its end in a slab that was followed,
        or between a slab that was followed and where its voxels are now."""
        if self.layout.still:
            return 0
        return self.layout.mail + ((self.step + 1) * self.layout.niter >> FLOW_BITS)

    def new_cubes(self, slab: int) -> list[int]:
        """The layers of cubes that `slab` is the first to need."""
        before = self.layout.cover[slab - 1].stop if slab else 0
        return [m for m in self.layout.cover[slab] if m >= before]

    def next(self) -> Part | None:
        """What to do now: of all that can be done what is furthest down the road, so that little stands at any time."""
        if self.waiting:
            part = next(
                (("exchange_migrants", s, t) for t, s in sorted(self.waiting) if self._can("exchange_migrants", s, t)),
                None,
            )
        else:
            part = None
        before, after = self._stages_around_drain()
        return self._first(after, skip=False) or part or self._first(before, skip=False) or self._round_failures()

    def finish(self, part: Part) -> None:
        """`part` is done. Of those that post mail or follow voxels, `waiting`, `ways` and `step` are set before."""
        stage, slab, turn = part
        if stage == "exchange_migrants":
            self.waiting.discard((turn, slab))
            return
        self.done[stage].add(slab)
        if stage == "predict_flows":
            self.made.update(self.new_cubes(slab))
            self.held.update(("flows", m) for m in self.new_cubes(slab))
        leaves = {"follow_flows": "ends", "collect_ends": "histogram", "find_sinks": "sinks"}.get(stage)
        if leaves:
            self.held.add((leaves, slab))

    def released(self) -> list[tuple[str, int]]:
        """The scratch that nobody needs any more, told once."""
        needed = {"flows": self._needs_cubes, "ends": self._needs_ends}
        needed |= {"histogram": self._needs_histogram, "sinks": self._needs_sinks}
        free = sorted((kind, n) for kind, n in self.held if not needed[kind](n))
        self.held.difference_update(free)
        return free

    def _stages_around_drain(self) -> tuple[list[str], list[str]]:
        stages = [stage for stage in self.layout.stages if stage != "exchange_migrants"]
        at = stages.index("follow_flows") + 1
        return stages[:at], stages[at:]

    def _first(self, stages: list[str], *, skip: bool) -> Part | None:
        """The first slab that is left of the last of `stages` that can go on; with `skip`, any slab that is left."""
        for stage in reversed(stages):
            for s in self._left(stage):
                if (stage, s, 0) not in self.failed and self._can(stage, s):
                    return stage, s, 0
                if not skip:
                    break
        return None

    def _left(self, stage: str) -> Iterator[int]:
        done = self.done[stage]
        while self._first_left[stage] in done:
            self._first_left[stage] += 1
        return (s for s in range(self._first_left[stage], len(self.layout.slabs)) if s not in done)

    def _round_failures(self) -> Part | None:
        """What can be done although something before it in its stage has failed."""
        if not self.failed:
            return None
        return self._first([stage for stage in self.layout.stages if stage != "exchange_migrants"], skip=True)

    def _can(self, stage: str, s: int, turn: int = 0) -> bool:
        """Whether all that the part needs is there."""
        slabs, done = self.layout.slabs, self.done
        if stage == "predict_flows":
            return True
        if stage == "save_flows":
            return self.made.issuperset(m for j in self._kept_with(s) for m in self.layout.cover[j])
        if stage == "follow_flows":
            return self.made.issuperset(self.layout.cover[s])
        if stage == "exchange_migrants":
            return ("exchange_migrants", s, turn) not in self.failed and self._has_all_mail(s, turn)
        if stage == "collect_ends":
            return s in done["follow_flows"] and not self._waits(slabs.within(s, self.reach))
        if stage == "find_sinks":
            return done["collect_ends"].issuperset(slabs.within(s, self.reach + SINK_HALO))
        if stage == "label_blocks":
            return s in done["find_sinks"] and done["find_sinks"].issuperset(slabs.within(s, self._way(s)))
        if stage == "merge_objects":
            return s in done["find_sinks"] and done["label_blocks"].issuperset(self._bringing(s))
        return s in done["merge_objects"] and done["label_blocks"].issuperset(self._spanned(s))

    def _has_all_mail(self, s: int, turn: int) -> bool:
        """Whether no more mail of that turn can come to slab `s`."""
        slabs, mail = self.layout.slabs, self.layout.mail
        if not self.done["follow_flows"].issuperset(slabs.within(s, min(turn * mail, self.reach))):
            return False
        return all(t >= turn or slabs.gap(s, j) > (turn - t) * mail for t, j in self.waiting)

    def _waits(self, slabs: range) -> bool:
        return any(s in slabs for _, s in self.waiting)

    def _way(self, s: int) -> int:
        return 0 if self.layout.still else self.ways[s]

    @property
    def _furthest(self) -> int:
        return 0 if self.layout.still else self.furthest

    def _kept_with(self, s: int) -> range:
        """The slabs that hold what is kept with slab `s`."""
        start, stop = self.layout.kept[s]
        return range(self.layout.slabs.holding(start), s + 1) if stop else range(0)

    def _bringing(self, s: int) -> list[int]:
        """The slabs that can hold voxels of the objects that have their sinks in `s`, as far as is known."""
        slabs = self.layout.slabs
        near = slabs.within(s, self._furthest + GROW_STEPS)
        return [j for j in near if slabs.gap(s, j) <= self._way(j) + GROW_STEPS]

    def _spanned(self, s: int) -> range:
        """The slabs that those objects may cross."""
        near = self._bringing(s)
        return range(near[0], near[-1] + 1)

    def _needs_cubes(self, m: int) -> bool:
        cover = self.layout.cover
        first = bisect_right(cover, m, key=lambda cubes: cubes.stop)
        last = bisect_right(cover, m, key=lambda cubes: cubes.start)
        return any(map(self._needs_flows, range(first, last)))

    def _needs_flows(self, s: int) -> bool:
        """Whether a voxel may still have to be followed in slab `s`, or its flows are wanted for another reason."""
        near = self.layout.slabs.within(s, self.reach)
        if not self.done["follow_flows"].issuperset(near) or self._waits(near):
            return True
        return self._may_keep(s) or self._may_check(s)

    def _may_keep(self, s: int) -> bool:
        """Whether flows of slab `s` are still to be kept."""
        if "save_flows" not in self.layout.stages:
            return False
        stop = self.layout.slabs.cuts[s + 1]
        kept_later = takewhile(lambda j: self.layout.kept[j][0] < stop, range(s, len(self.layout.slabs)))
        return any(s in self._kept_with(j) and j not in self.done["save_flows"] for j in kept_later)

    def _may_check(self, s: int) -> bool:
        """Whether an object that is still to be checked may lie in slab `s`."""
        if "filter_by_flow_error" not in self.layout.stages:
            return False
        slabs, done = self.layout.slabs, self.done
        for j in slabs.within(s, max(self.reach, self._furthest) + GROW_STEPS):
            known = j in done["find_sinks"]
            if j not in done["filter_by_flow_error"] and (s in self._spanned(j) if known else self._may_span(j, s)):
                return True
        return False

    def _may_span(self, j: int, s: int) -> bool:
        return self.layout.slabs.gap(j, s) <= self.reach + GROW_STEPS

    def _needs_ends(self, s: int) -> bool:
        return s not in self.done["label_blocks"]

    def _needs_histogram(self, s: int) -> bool:
        return not self.done["find_sinks"].issuperset(self.layout.slabs.within(s, self._way(s) + SINK_HALO))

    def _needs_sinks(self, s: int) -> bool:
        slabs, done = self.layout.slabs, self.done
        far = max(self.reach, self._furthest)
        return any(
            j not in done["label_blocks"] and not (j in done["collect_ends"] and self._way(j) < slabs.gap(s, j))
            for j in slabs.within(s, far)
        )
