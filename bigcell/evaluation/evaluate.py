"""Compare two label volumes of any size: blocks are counted by any executor, added up here, and scored."""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from math import nan

from bigcell.core.axes import ZYX, Spacing, Zyx
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.settings import check_type
from bigcell.core.volume import Array, Volume
from bigcell.engine.runtime.events import Listener, StageFinished, StageStarted, TaskDone, ignore
from bigcell.engine.runtime.executors import Executor
from bigcell.engine.runtime.machine import cores, free_memory
from bigcell.evaluation.inputs import FOUND, TRUTH, Compared, block_shape, shown
from bigcell.metrics.boundary import Ball, halo
from bigcell.metrics.cuts import SHARE, check_share
from bigcell.metrics.mistakes import USUAL, Mistakes, MistakeSettings, mistakes
from bigcell.metrics.scores import THRESHOLDS, Scores, check_thresholds, score
from bigcell.metrics.tally import Sum, Tally, tally

STAGE = "compare"
VOXEL_BYTES = 64
"""Memory of a worker for each voxel of its block, at most: ids of 64 bits, masks, and runs where labels are noise."""
MIN_BLOCKS_PER_PROCESS = 4
"""Blocks that a process must have to do, for it to be worth its start."""


@dataclass(frozen=True)
class EvaluateSettings:
    """`thresholds`: IoUs from which cells match. `tolerance`: of the boundary, in voxels along x. `share`: of the
    smaller of two cells, from which they belong together (see `bigcell.metrics.cuts`)."""

    thresholds: tuple[float, ...] = THRESHOLDS
    tolerance: float = 2.0
    share: float = SHARE

    def __post_init__(self) -> None:
        check_type(float, tolerance=self.tolerance, share=self.share)
        check_type(tuple[float, ...], thresholds=self.thresholds)
        object.__setattr__(self, "thresholds", check_thresholds(self.thresholds))
        Ball(self.tolerance)
        check_share(self.share)


@dataclass(frozen=True)
class Evaluation:
    """The scores of a comparison, what was compared, and the counts that everything follows from."""

    scores: Scores
    compared: Compared
    tally: Tally = field(repr=False)

    def mistakes(self, settings: MistakeSettings = USUAL) -> Mistakes:
        """The cells that went wrong, one by one."""
        return mistakes(self.tally, settings)

    def in_um(self, centre: Sequence[float]) -> tuple[float, ...]:
        """A place (z, y, x) in µm, NaN along axes of unknown size."""
        space = self.compared.spacing
        place = zip(ZYX, centre, space.zyx, self.compared.origin_um, strict=True)
        return tuple(v * s + o if space.in_um(a) else nan for a, v, s, o in place)


@dataclass(frozen=True)
class CountBlock:
    """The task: what one block counts. Picklable."""

    found: Volume
    truth: Volume
    ball: Ball

    def __call__(self, part: tuple[Box, Box]) -> tuple[Tally, int, float]:
        """The counts of the voxels of a block, which sees no farther than its box; its voxels and seconds."""
        core, box = part
        begun = clock.perf_counter()
        read = core.grow(halo(self.ball)) & box
        truth, found = _labels(self.truth, read, TRUTH), _labels(self.found, read, FOUND)
        counted = tally(truth, found, self.ball, core=core.relative_to(read), corner=read.start)
        return counted, core.size, clock.perf_counter() - begun


def compare_volumes(
    compared: Compared,
    settings: EvaluateSettings,
    executor: Executor,
    *,
    block: Zyx | None = None,
    listener: Listener = ignore,
) -> Evaluation:
    """Count all blocks and score them. The blocks and the executor leave no trace in the scores.

    Memory: of a worker as the block is, here as the cells are (some 100 bytes for each pair of cells that touch).
    """
    parts = compared.parts(block)
    task = CountBlock(compared.found, compared.truth, ball_of(settings.tolerance, compared.spacing))
    added = Sum()
    with closing(executor):
        executor.begin(STAGE)
        for counted in _told(executor.map(task, parts), parts, listener):
            added.add(counted)
    total = added.total()
    return Evaluation(score(total, thresholds=settings.thresholds, share=settings.share), compared, total)


def ball_of(tolerance: float, spacing: Spacing) -> Ball:
    """The ball of a tolerance in voxels along x, where voxels may be longer along z and y."""
    return Ball(tolerance, (spacing.anisotropy, spacing.over_x("y"), 1.0))


def useful_workers(compared: Compared, wanted: int | None, block: Zyx | None = None) -> int:
    """How many processes to compare with: as many as `wanted`, else what cores, memory and blocks make worth while."""
    check_type(int | None, workers=wanted)
    if compared.in_memory:
        return 1
    parts = compared.parts(block)
    if wanted is not None:
        return min(wanted, len(parts))
    z, y, x = block or block_shape(compared.found)
    fit = free_memory() // (VOXEL_BYTES * z * y * x)
    return max(1, min(cores(), fit, len(parts) // MIN_BLOCKS_PER_PROCESS))


def _labels(volume: Volume, box: Box, role: str) -> Array:
    """The ids in a box; InputError that names the file for one below 0."""
    labels: Array = volume.read(box)[0]
    if labels.dtype.kind == "i" and labels.min() < 0:
        raise InputError(
            f"{shown(volume, role)} holds {labels.min()} within {box.start}..{box.stop}; wanted ids from 1, and 0 for "
            "background"
        )
    return labels


def _told(
    results: Iterator[tuple[Tally, int, float]], parts: Sequence[tuple[Box, Box]], listener: Listener
) -> Iterator[Tally]:
    """The counts as they come, each told of."""
    begun = clock.perf_counter()
    listener(StageStarted(STAGE, len(parts), 0, sum(core.size for core, _ in parts)))
    for number, (counted, voxels, seconds) in enumerate(results):
        listener(TaskDone(STAGE, str(number), voxels, seconds, 0))
        yield counted
    listener(StageFinished(STAGE, clock.perf_counter() - begun))
