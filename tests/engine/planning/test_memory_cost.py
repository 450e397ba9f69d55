"""What a plan says of memory is what its workers hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bigcell
from bigcell.core.box import Box
from bigcell.testing.flows import FlowLattice


@pytest.mark.parametrize("options", [{}, {"stitch_threshold": 0.25, "flow_threshold": 1.5}])
def test_a_worker_holds_what_the_plan_said(tmp_path: Path, store: Callable[..., Path], options: dict[str, Any]) -> None:
    extent = (80, 160, 160)
    path = store(tmp_path / "f.zarr", FlowLattice(extent, diameter=16, noise=0.4).read(Box.of(extent)))
    arguments = {"block": (80, 80, 160), "workers": 2, **options}
    planned = bigcell.plan(flows=path, **arguments).budget
    for name in ("first", "second"):  # the first fills numba's cache: what compiling takes is not in the plan
        result = bigcell.segment(flows=path, output=tmp_path / f"{name}.zarr", cluster="local", **arguments)
    assert planned is not None
    assert 0.75 < max(s["peak_bytes"] for s in result.stages.values()) / planned.worker < 1.25
