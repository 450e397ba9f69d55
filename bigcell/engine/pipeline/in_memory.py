"""A volume that fits in memory: the same road without files, into an array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bigcell.core.axes import Zyx
from bigcell.core.box import Box
from bigcell.core.volume import Array, Volume
from bigcell.engine.pipeline.segment import segment_volume
from bigcell.engine.pipeline.stage_runner import Result, Run
from bigcell.engine.planning.foreground_note import ENTRY
from bigcell.engine.planning.plan import Plan
from bigcell.engine.runtime.events import Listener, ignore
from bigcell.engine.tasks.assign_ids import part_columns
from bigcell.engine.tasks.job import Job
from bigcell.io.scratch import MemoryScratch
from bigcell.preprocess.foreground import Foreground
from bigcell.stitch.number import smallest_dtype


@dataclass(frozen=True)
class MemoryLevel:
    """The only level, written by one task."""

    extent: Zyx
    shard: Zyx
    factor: Zyx = (1, 1, 1)


@dataclass(frozen=True)
class MemoryLabels:
    """Labels as an array (z, y, x)."""

    array: Array

    @property
    def levels(self) -> tuple[MemoryLevel, ...]:
        z, y, x = self.array.shape
        return (MemoryLevel((z, y, x), (z, y, x)),)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def write(self, level: int, box: Box, values: Array) -> None:
        self.array[box.slices] = values

    def read(self, level: int, box: Box) -> Array:
        return self.array[box.slices]


def segment_in_memory(
    plan: Plan,
    image: Volume | None,
    given: Volume | None,
    listener: Listener = ignore,
    foreground: Foreground | None = None,
) -> Result:
    """Labels (z, y, x) of a volume, with every step of the road run here and nothing written to disk.

    `foreground`: the one of the plan, if it has one.
    """
    run = Run(Job(plan, image, given, MemoryScratch()), listener=listener)
    if foreground is not None:
        run.job.scratch.save(ENTRY, foreground.arrays())
    held: list[MemoryLabels] = []

    def place(count: int) -> MemoryLabels:
        held.append(MemoryLabels(np.zeros(plan.extent, smallest_dtype(count))))
        return held[0]

    count = segment_volume(run, place)
    return Result(count, labels=held[0].array, table=part_columns(run.job, 0, count), stages=run.stages)
