from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import bigcell
from bigcell.core.errors import PlanError, SettingsError
from bigcell.engine.planning import resources
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.resources import check_room, usable_workers


@pytest.fixture(scope="module")
def plan() -> Plan:
    return bigcell.plan(flows=np.zeros((4, 40, 64, 64), np.float32), block=(10, 16, 16), workers=2)


def allow(monkeypatch: pytest.MonkeyPatch, cores: int, memory: float) -> None:
    monkeypatch.setattr(resources, "cores", lambda: cores)
    monkeypatch.setattr(resources, "free_memory", lambda: int(memory))


def test_workers_as_cores_memory_and_blocks_allow(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan.budget is not None
    each = plan.budget.worker
    for cores, memory, wanted in ((3, 1e12, 3), (64, each * 5 / 0.85 + 1e6, 5), (64, 1.0, 1), (1000, 1e12, 64)):
        allow(monkeypatch, cores, memory)
        assert usable_workers(plan, None) == wanted
    assert usable_workers(plan, 7) == 7
    with pytest.raises(SettingsError, match="wanted at least 1"):
        usable_workers(plan, 0)


def test_a_block_may_have_many_tasks_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, 4, 1e12)
    one = bigcell.plan(np.zeros((8, 120, 120), np.uint16), diameter=4, workers=1)
    assert len(one.grid) == 1
    assert usable_workers(one, None) == min(4, len(one.lattice.cubes)) > 1


def test_a_plan_larger_than_the_memory_limit_is_refused(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert plan.budget is not None
    allow(monkeypatch, 2, plan.budget.worker * 2 + 1)
    check_room(plan, tmp_path / "not" / "there")
    allow(monkeypatch, 2, plan.budget.worker * 2 - 1)
    with pytest.raises(PlanError, match="use smaller blocks or fewer workers"):
        check_room(plan, tmp_path)
