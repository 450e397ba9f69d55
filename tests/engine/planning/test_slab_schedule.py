"""The order of parts: every one once, nothing that is missing, and nothing left over."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import RunSettings
from bigcell.engine.planning.slab_schedule import Layout, Slabs, SlabScheduler, cube_layer
from bigcell.flows.settings import FlowSettings
from bigcell.stitch.clean import CleanSettings
from bigcell.tiling.grid import BlockGrid
from bigcell.tiling.lattice import TileSettings


@settings(max_examples=50)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    st.integers(1, 4),
    st.integers(0, 40),
)
def test_slabs_are_layers_taken_together(
    extent: tuple[int, int, int], block: tuple[int, int, int], layers: int, reach: int
) -> None:
    grid = BlockGrid(extent, block)
    slabs, axis = Slabs.of(grid, layers), grid.layer_axis
    assert [k for blocks in slabs.blocks for k in blocks] == list(range(len(grid)))
    for s, blocks in enumerate(slabs.blocks):
        assert all(slabs.of_block(k) == s for k in blocks)
        assert min(grid.core(k).start[axis] for k in blocks) == slabs.cuts[s] == grid.core(blocks[0]).start[axis]
        assert max(grid.core(k).stop[axis] for k in blocks) == slabs.cuts[s + 1]
        assert slabs.holding(slabs.cuts[s]) == slabs.holding(slabs.cuts[s + 1] - 1) == s
        assert list(slabs.within(s, reach)) == [j for j in range(len(slabs)) if slabs.gap(s, j) <= reach]
        assert slabs.gap(s, 0) == max(0, slabs.cuts[s] - slabs.cuts[1])


def plan_of(depth: int, block: int, **words: object) -> Plan:
    run = RunSettings(
        (block, 40, 40),
        diameter=20.0,
        tiles=TileSettings(size=48, group=1),
        flows=FlowSettings(smooth=(1.0, 0.0, 0.0)),
        dynamics=DynamicsSettings(niter=20, halo=5, planar=bool(words.pop("planar", False))),
        clean=CleanSettings(flow_threshold=0.4, flow_threshold_3d=float(str(words.pop("threshold", 0)))),
    )
    return Plan((depth, 40, 40), Spacing(), ("a",), "uint8", run, model="nuclei", model_diameter=24.0, **words)  # type: ignore[arg-type]


@dataclass
class Mail:
    """Mail that is drawn. `homes`: of mail by turn and slab, the slabs that its voxels are of."""

    wave: SlabScheduler
    data: st.DataObject
    homes: dict[tuple[int, int], set[int]] = field(default_factory=dict)

    def post(self, turn: int, s: int, homes: set[int]) -> None:
        """Mail from `s` to any slabs near it, but none so far from home that no voxel can have gone there."""
        slabs = self.wave.layout.slabs
        reached = {j: {h for h in homes if slabs.gap(h, j) <= self.wave.reach} for j in slabs.within(s, 10)}
        for j in self.data.draw(st.sets(st.sampled_from([j for j in reached if reached[j]]))):
            self.homes.setdefault((turn, j), set()).update(reached[j])
            self.wave.waiting.add((turn, j))

    def go_on(self, s: int, turn: int) -> None:
        """The voxels of the mail at `s` go on, up to four times."""
        homes = self.homes.pop((turn, s))
        if turn < 4:
            self.post(turn + 1, s, homes)


@settings(max_examples=60)
@given(
    depth=st.integers(30, 500),
    block=st.integers(4, 40),
    layers=st.integers(1, 3),
    planar=st.booleans(),
    threshold=st.sampled_from([0.0, 1.0]),
    keep=st.sampled_from([0, 16, 64]),
    data=st.data(),
)
def test_every_part_is_done_once_with_all_that_it_needs(
    depth: int, block: int, layers: int, planar: bool, threshold: float, keep: int, data: st.DataObject
) -> None:
    plan = plan_of(depth, block, planar=planar, threshold=threshold)
    regions = list(Box.of((depth, 1, 1)).split((keep, 1, 1))) if keep else []
    layout = Layout.of(plan, layers, regions)
    wave, slabs, done = SlabScheduler(layout), layout.slabs, list[tuple[str, int, int]]()
    ran: list[int] = []
    mail = Mail(wave, data)
    while (part := wave.next()) is not None:
        stage, s, turn = part
        assert part not in done
        done.append(part)
        standing = {m for kind, m in wave.held if kind == "flows"}
        if stage == "predict_flows":
            ran += [k for m in wave.new_cubes(s) for k in cube_layer(plan, m)]
        if stage in ("follow_flows", "exchange_migrants"):
            assert standing.issuperset(layout.cover[s])
        if stage == "follow_flows":
            wave.went(s, data.draw(st.integers(0, 30)))
            wave.step = max(wave.step, data.draw(st.sampled_from([0, 512, 2048])))
            if not planar:
                mail.post(1, s, {s})
        if stage == "exchange_migrants":
            mail.go_on(s, turn)
        if stage == "label_blocks":
            assert ("ends", s) in wave.held
        if stage == "find_sinks":
            assert all(("histogram", j) in wave.held for j in slabs.within(s, 7))
        wave.finish(part)
        wave.released()
    for stage in layout.stages:
        if stage != "exchange_migrants":
            assert [s for name, s, _ in done if name == stage] == list(range(len(slabs)))
    assert ran == list(range(len(plan.lattice.cubes)))
    assert wave.held == set()
    assert wave.waiting == set()


def test_one_slab_after_another() -> None:
    """Little reach: names follow flows by a few slabs, and the network is never far ahead."""
    wave = SlabScheduler(Layout.of(plan_of(2000, 40), 1))
    ahead = 0
    while (part := wave.next()) is not None:
        wave.finish(part)
        wave.released()
        ahead = max(ahead, len(wave.done["predict_flows"]) - len(wave.done["label_blocks"]))
    assert ahead <= 5


@pytest.mark.parametrize("stage", ["predict_flows", "follow_flows", "collect_ends", "find_sinks", "label_blocks"])
def test_a_part_that_fails_holds_up_its_neighbours_alone(stage: str) -> None:
    wave = SlabScheduler(Layout.of(plan_of(2000, 40), 1))
    while (part := wave.next()) is not None:
        if part == (stage, 20, 0):
            wave.failed.add(part)
        else:
            wave.finish(part)
        wave.released()
    left = set(range(50)) - wave.done["label_blocks"]
    assert 20 in left or stage == "predict_flows"
    assert left <= set(range(14, 27))
    assert left


def test_layout_knows_which_stages_there_are() -> None:
    plan = plan_of(200, 40)
    assert "filter_by_flow_error" not in Layout.of(plan, 1).stages
    assert "filter_by_flow_error" in Layout.of(plan_of(200, 40, threshold=1.0), 1).stages
    assert "save_flows" in Layout.of(plan, 1, [Box.of((200, 1, 1))]).stages
    given_flows = replace(plan, model="", flows={"source": "test"})
    assert Layout.of(given_flows, 1).stages[0] == "follow_flows"
