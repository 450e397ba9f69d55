"""What this machine has, held against what a plan needs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bigcell.core.errors import PlanError, SettingsError
from bigcell.core.format import shape, size
from bigcell.core.settings import check_type
from bigcell.engine.planning.memory_cost import estimate
from bigcell.engine.planning.plan import Plan
from bigcell.engine.runtime.machine import cores, free_memory

SHARE = 0.85
"""The share of the free memory that workers may take."""
MAX_WORKERS = 100_000
"""Workers that nobody has."""


def usable_workers(plan: Plan, wanted: int | None) -> int:
    """`wanted` workers, or as many as cores, free memory and tasks allow."""
    check_type(int | None, workers=wanted)
    if wanted is not None:
        if not 1 <= wanted <= MAX_WORKERS:
            raise SettingsError(f"{str(wanted)[:20]} workers: wanted at least 1, and at most {MAX_WORKERS}")
        return wanted
    fit = int(free_memory() * SHARE // estimate(plan).worker)
    tasks = max(len(plan.grid), len(plan.lattice.cubes) if plan.model else 0)
    return max(1, min(cores(), fit, tasks))


def check_room(plan: Plan, output: Path) -> None:
    """Refuse a plan that this machine's memory or disk cannot hold."""
    budget = plan.budget
    assert budget is not None
    free = free_memory()
    if budget.worker * budget.workers > free:
        raise PlanError(
            f"{budget.workers} workers with blocks of {shape(plan.grid.shape)} need {size(budget.worker)} each, "
            f"{size(free)} of memory are free: use smaller blocks or fewer workers"
        )
    place = output
    while not os.path.exists(place):  # nor what another account keeps to itself
        place = place.parent
    room = shutil.disk_usage(place).free
    need = budget.scratch + budget.output
    if need > room:
        raise PlanError(
            f"scratch and labels need about {size(need)} at {place}, {size(room)} are free: make room, "
            "or give --output on another disk"
        )
