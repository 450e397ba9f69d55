"""Whether a process still runs: whatever the clock says, under any name of the machine, and after it was restarted."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import psutil
import pytest

from bigcell.engine.runtime.status import is_alive, this_process


@pytest.fixture
def dead() -> dict[str, object]:
    """A process that has ended."""
    code = "import json; from bigcell.engine.runtime.status import this_process; print(json.dumps(this_process()))"
    found: dict[str, object] = json.loads(subprocess.check_output([sys.executable, "-c", code]))
    return found


def test_this_one_runs_and_one_that_ended_does_not(dead: dict[str, object]) -> None:
    assert is_alive(this_process())
    assert not is_alive(dead)
    assert not is_alive({**this_process(), "started": this_process()["started"] - 5})  # its number was given again


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the time a process began does not follow the clock")
@pytest.mark.parametrize("seconds", [-86400, 3600])
def test_the_clock_is_set(monkeypatch: pytest.MonkeyPatch, dead: dict[str, object], seconds: float) -> None:
    known, boot = this_process(), psutil.boot_time()
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot + seconds)
    assert is_alive(known)
    assert not is_alive(dead)
    assert this_process() == known


def test_the_machine_is_given_another_name(monkeypatch: pytest.MonkeyPatch, dead: dict[str, object]) -> None:
    known = this_process()
    monkeypatch.setattr(platform, "node", lambda: "another")
    assert known["machine"] != this_process()["machine"]
    assert is_alive(known)
    if known["boot"]:
        assert not is_alive(dead)


def test_the_machine_was_restarted() -> None:
    known = this_process()
    if known["boot"]:
        assert not is_alive({**known, "boot": "0" * 16})


def test_another_machine_is_believed(dead: dict[str, object]) -> None:
    assert is_alive({**dead, "machine": "0" * 16, "boot": "0" * 16})
    assert is_alive({**dead, "machine": "0" * 16, "boot": ""})


def test_what_earlier_versions_wrote_is_understood() -> None:
    known = this_process()
    del known["boot"]
    assert is_alive({**known, "started": psutil.Process().create_time()})
    assert not is_alive({**known, "started": psutil.Process().create_time() - 5})
    assert not is_alive({"machine": known["machine"]})
