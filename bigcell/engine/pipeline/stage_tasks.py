"""The items of the stages between image and objects: of any blocks, made from what the stages before have found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigcell.core.box import Box
from bigcell.dynamics.settings import GROW_STEPS, SINK_HALO
from bigcell.engine.pipeline.displacement_bounds import DisplacementBounds
from bigcell.engine.pipeline.failures import Failures
from bigcell.engine.pipeline.lazy_tasks import LazyTasks
from bigcell.engine.tasks.job import Job

Mail = dict[int, list[int]]
"""Blocks, each with the blocks that have mail for it."""
Returns = dict[int, list[str]]
"""Blocks that have sent mail, each with what has come back: "turn-block" of those it comes from."""


@dataclass
class StageProgress:
    """All of a stage, of which parts are done by turns: tasks and voxels in all, and what came of the parts so far.

    `resumed`: whether the journal may hold some from before.
    """

    stage: str
    total: int
    voxels: int
    failures: Failures
    resumed: bool = True
    done: int = 0


def of_blocks(blocks: Sequence[int], make: Callable[[int], Any] = lambda k: (k,)) -> LazyTasks:
    """One item for each block."""
    return LazyTasks(len(blocks), lambda i: make(blocks[i]), lambda i: str(blocks[i]))


def predict_tasks(job: Job, cubes: Sequence[int]) -> tuple[LazyTasks, list[int]]:
    """Cubes of many tiles first, so that no worker is left with one; and the volume's voxels that each stands for, as
    their regions tile the network's grid. Those that see no foreground are left out."""
    lattice, cubes = job.lattice, list(filter(job.tile_group_is_active, cubes))
    share = job.plan.voxels / max(1, int(np.prod(lattice.extent)))
    order = sorted(cubes, key=lambda k: (-lattice.tiles_of(k), k))
    return of_blocks(order), [round(lattice.region(k).size * share) for k in order]


def keep_tasks(places: Sequence[int], regions: Sequence[Box]) -> LazyTasks:
    """The regions at some places among all."""
    return of_blocks(places, lambda i: (i, regions[i]))


def drain_tasks(turn: int, mail: Mail) -> list[tuple[str, int, int, tuple[int, ...]]]:
    """Every block that has mail, with those it comes from."""
    return [(f"{turn}-{k}", turn, k, tuple(sorted(mail[k]))) for k in sorted(mail)]


def settle_tasks(waiting: Sequence[int], returns: Returns) -> list[tuple[int, tuple[str, ...]]]:
    """Every block that waits for ends, with what has come back to it."""
    return [(k, tuple(sorted(returns.get(k, ()), key=by_number))) for k in sorted(waiting)]


def sinks_tasks(job: Job, reach: DisplacementBounds, blocks: Sequence[int]) -> LazyTasks:
    """Every block, with those whose voxels come near."""
    return of_blocks(blocks, lambda k: (k, reach.blocks_into(job.grid.core(k).grow(SINK_HALO))))


def name_tasks(job: Job, reach: DisplacementBounds, blocks: Sequence[int]) -> LazyTasks:
    """Every block, with those that its voxels come to."""
    return of_blocks(blocks, lambda k: (k, tuple(job.grid.touching(job.grid.core(k).grow(reach.way(k))))))


def reduce_tasks(job: Job, reach: DisplacementBounds, blocks: Sequence[int]) -> LazyTasks:
    """Every block, with those that hold pieces of its objects."""
    return of_blocks(blocks, lambda k: (k, reach.blocks_into(job.grid.core(k).grow(GROW_STEPS))))


def by_number(entry: str) -> list[int]:
    """Sorts names of numbers with dashes between them.

    >>> sorted(["10-2", "9-3"], key=by_number)
    ['9-3', '10-2']
    """
    return [int(part) for part in entry.split("-")]
