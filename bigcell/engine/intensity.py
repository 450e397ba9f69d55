"""From histograms of all blocks to what is black and what is white in each channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bigcell.core.volume import Array
from bigcell.engine.job import Job
from bigcell.preprocess import statistics as stats
from bigcell.preprocess.normalize import Levels, settle

Bins = tuple[tuple[int, ...], ...]


def settle_contrast(job: Job, refine: Callable[[Bins], Any]) -> tuple[tuple[Levels, ...], list[str]]:
    """Levels of every channel, and sentences the user should read. `refine` runs the second pass where it is needed.

    Memory: one histogram of 65 536 bins a channel, whatever the number of blocks.
    """
    assert job.image is not None
    names, dtype = job.image.channels, job.image.dtype
    limits = (job.plan.settings.normalize.lower, job.plan.settings.normalize.upper)
    upper = _add_up(job, "statistics")
    lower: dict[str, Array] = {}
    if stats.is_wide(dtype):
        refine(tuple(stats.wanted_bins(upper[f"upper{c}"], limits) for c in range(len(names))))
        lower = _add_up(job, "refine")
    levels, notices = [], []
    for c, name in enumerate(names):
        mine = {int(k.split("-")[1]): v for k, v in lower.items() if k.startswith(f"lower{c}-")}
        measured = stats.read_range(upper[f"upper{c}"], mine, dtype, limits)
        levels.append(settle(measured, name))
        if measured.high <= measured.low:
            notices.append(
                f"channel {name!r}: percentiles {limits[0]:g} and {limits[1]:g} are both {measured.low:g}; "
                f"{levels[-1].black:g} is taken as black and {levels[-1].white:g} as white"
            )
    return tuple(levels), notices


def _add_up(job: Job, stage: str) -> dict[str, Array]:
    total: dict[str, Array] = {}
    for k in range(len(job.grid)):
        for name, histogram in job.scratch.load(f"{stage}/{k}").items():
            total[name] = total[name] + histogram if name in total else histogram.astype(np.int64)
    return total
