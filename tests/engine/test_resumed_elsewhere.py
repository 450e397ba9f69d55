"""A run that is taken up under another clock, on a machine of another name, with other packages: the same bytes."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bigcell
from bigcell import api
from bigcell.engine.runs.ended import read_record
from bigcell.engine.runs.find_run import read_status
from bigcell.engine.runtime.events import Event, Notice
from bigcell.provenance.record import versions
from bigcell.report import statistics
from bigcell.report.page import facts_in
from bigcell.testing.disturbed import Stopping
from bigcell.testing.files import files_of

WORDS: dict[str, Any] = {"block": (36, 60, 34), "cluster": "serial"}


def clock(patch: pytest.MonkeyPatch) -> None:
    """A day earlier."""
    now = time.time
    patch.setattr(time, "time", lambda: now() - 86400)


def name(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(platform, "node", lambda: "another")


def packages(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(statistics, "versions", lambda: {**versions(), "torch": "1.0"})


@pytest.mark.parametrize("change", [clock, name, packages])
def test_the_same_bytes(
    change: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, flow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = bigcell.segment(flows=flow_store, output=tmp_path / "plain.zarr", **WORDS)
    out, told = tmp_path / "out.zarr", list[Event]()
    with monkeypatch.context() as patch:
        patch.setattr(api, "choose_executor", lambda *_: Stopping(3))
        with pytest.raises(KeyboardInterrupt):
            bigcell.segment(flows=flow_store, output=out, **WORDS)
    change(monkeypatch)
    assert read_status(out).state == "stopped"
    resumed = bigcell.resume(out, cluster="serial", listener=told.append)
    assert files_of(resumed.path) == files_of(plain.path)
    facts = facts_in((Path(str(resumed.path)) / "report.html").read_text())
    assert {s.name: s.tasks for s in facts.stages}["follow_flows"] == 2
    assert facts.times is not None
    said = [event.text for event in told if isinstance(event, Notice) and "other versions" in event.text]
    assert len(said) == (change is packages)
    assert (", " in read_record(resumed.path or "").versions["torch"]) == (change is packages)
