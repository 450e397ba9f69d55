"""Volumes of any size are planned in seconds, or refused at once with what they would need."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pytest

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.request import Request
from bigcell.tiling.grid import BlockGrid


@dataclass(frozen=True)
class Nothing:
    """A volume of any extent, of which nothing may be read."""

    extent: tuple[int, int, int]
    channels: tuple[str, ...] = ("0",)
    dtype: Any = np.dtype(np.uint16)  # noqa: RUF009 - it does not change
    spacing: Spacing = Spacing()  # noqa: RUF009 - nor does this

    def read(self, box: Box) -> Array:
        raise AssertionError("planning reads no voxel")


@pytest.fixture
def few_boxes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts what a plan asks of its grid of blocks: a thousand answers are fewer than one for each block."""
    asked = [0]
    real = BlockGrid.index

    def index(grid: BlockGrid, number: int) -> tuple[int, ...]:
        asked[0] += 1
        return real(grid, number)

    monkeypatch.setattr(BlockGrid, "index", index)
    return asked


ABSURD: list[tuple[tuple[int, int, int], dict[str, Any], str]] = [
    ((1, 1, 2**40), {}, "268,435,456 blocks of 1 x 1 x 4096.*larger blocks"),
    ((10**6, 10**6, 10**6), {}, "59,638,983,643 blocks of 256 x 256 x 256"),
    ((2000, 2000, 2000), {"block": (1, 1, 1)}, "8,000,000,000 blocks"),
    ((10**5, 10**5, 10**5), {"block": (10**5, 10**5, 10**5)}, "59,776,471 files of labels.*level"),
    ((2000, 2000, 2000), {"diameter": 0.01}, "places of the network's tiles.*larger diameter"),
    ((2000, 2000, 2000), {"diameter": 1e-300}, r"more than 10\^18 places"),
    ((2**21, 2**21, 2**21), {}, "at most 4.61e"),
]


@pytest.mark.parametrize(("extent", "options", "said"), ABSURD, ids=str)
def test_an_absurd_volume_is_refused_with_the_number_of_blocks(
    extent: tuple[int, int, int], options: dict[str, Any], said: str, few_boxes: list[int]
) -> None:
    with pytest.raises(InputError, match=said):
        make_plan(Request(**options), Nothing(extent), None)
    assert few_boxes[0] == 0


@pytest.mark.parametrize("extent", [(25_600, 25_600, 25_600), (256 * 10**6, 256, 256)], ids=["cube", "rod"])
def test_a_million_blocks_are_planned_without_looking_at_each(
    extent: tuple[int, int, int], few_boxes: list[int]
) -> None:
    flows = Nothing(extent, ("z", "y", "x", "p"), np.dtype(np.float32))
    plan = make_plan(Request(), None, flows)
    assert len(plan.grid) == 10**6
    assert few_boxes[0] < 1000


def test_a_network_over_a_million_blocks_is_planned_without_looking_at_each(few_boxes: list[int]) -> None:
    plan: Plan = make_plan(Request(), Nothing((25_600, 25_600, 25_600)), None)
    assert len(plan.lattice.cubes) > 10**5
    assert few_boxes[0] < 1000


def test_an_axis_of_many_millions_of_voxels_is_resampled_where_it_should_be() -> None:
    plan = make_plan(Request(diameter=18), Nothing((100_000_000, 1, 1)), None)
    at = 99_999_000
    box = plan.grids.network_box(Box((at, 0, 0), (at + 1, 1, 1)))
    assert abs(box.start[0] / plan.grids.network[0] - at / plan.extent[0]) < 1e-6
    assert prod(box.shape) <= 2
