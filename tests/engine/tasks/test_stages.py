"""The one table of stages, and those who ask it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bigcell.core.box import Box
from bigcell.core.volume import ArrayVolume
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.request import Request
from bigcell.engine.planning.slab_schedule import SLAB_STAGES
from bigcell.engine.tasks.stages import STAGES, table_as_markdown
from bigcell.testing.flows import FlowLattice

CONCEPTS = Path(__file__).parents[3] / "docs" / "explanation" / "concepts.md"


@pytest.fixture
def plan() -> Plan:
    flows = FlowLattice((4, 20, 20)).read(Box.of((4, 20, 20)))
    return make_plan(Request(block=(4, 10, 10)), None, ArrayVolume(flows))


def test_the_table_in_the_documentation_is_this_one() -> None:
    between = CONCEPTS.read_text().partition("<!-- stages -->\n")[2].partition("\n<!-- end of stages -->")[0]
    assert between == table_as_markdown(), "put what `table_as_markdown` gives between the two comments"


def test_the_schedule_of_slabs_knows_stages_of_the_table_in_its_order() -> None:
    assert tuple(name for name, stage in STAGES.items() if stage.slabwise) == SLAB_STAGES


def test_labels_differ() -> None:
    assert len({stage.label for stage in STAGES.values()}) == len(STAGES)


def test_the_network_reads_the_image_and_runs_in_one_stage() -> None:
    assert [s.name for s in STAGES.values() if s.uses_network] == ["predict_flows"]
    assert [s.name for s in STAGES.values() if s.reads_image] == ["statistics", "refine_statistics", "predict_flows"]


@pytest.mark.parametrize(
    ("stage", "key", "block"),
    [
        ("follow_flows", "3", 3),
        ("follow_flows", "4", None),  # there are four blocks
        ("exchange_migrants", "7-2", 2),
        ("refine_statistics", "nan-1", 1),
        ("statistics", "2", 2),
        ("predict_flows", "2", None),
        ("assign_ids", "0", None),
        ("write_labels", "1", None),
        ("downsample", "1-0", None),
    ],
)
def test_keys_tell_the_block_where_a_task_is_one(plan: Plan, stage: str, key: str, block: int | None) -> None:
    assert STAGES[stage].block_of(key, plan) == block


def test_statistics_of_tiles_are_of_no_block(plan: Plan) -> None:
    normalize = replace(plan.settings.normalize, tile_norm_blocksize=16)
    tiles = replace(plan, settings=replace(plan.settings, normalize=normalize))
    assert STAGES["statistics"].block_of("2", tiles) is None
    assert STAGES["refine_statistics"].block_of("nan-2", tiles) == 2
