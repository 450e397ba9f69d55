"""Locks: one holder at a time, none after a death, no file left."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from bigcell.core.errors import OutputError
from bigcell.io.stores.locks import HeldError, locked

HOLD = """
import sys, time
from pathlib import Path
from bigcell.io.stores.locks import locked
with locked(Path(sys.argv[1]), about={"who": "the other"}):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "l")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    with suppress(ValueError):  # its pipes are closed already
        process.communicate()


def test_one_holder(tmp_path: Path, other) -> None:
    with pytest.raises(HeldError) as refused, locked(tmp_path / "l"):
        pass
    assert refused.value.holder == {"who": "the other"}


def test_a_dead_holder_loses_it(tmp_path: Path, other) -> None:
    other.send_signal(signal.SIGKILL)
    other.communicate()
    assert (tmp_path / "l").exists()
    with locked(tmp_path / "l"):
        assert (tmp_path / "l").exists()
    assert not (tmp_path / "l").exists()


def test_waiting(tmp_path: Path, other) -> None:
    other.communicate()
    with locked(tmp_path / "l", wait=60):
        assert other.returncode == 0


def test_shared(tmp_path: Path) -> None:
    with locked(tmp_path / "l", shared=True):
        with locked(tmp_path / "l", shared=True), pytest.raises(HeldError), locked(tmp_path / "l"):
            pass
        assert (tmp_path / "l").exists()
    assert not (tmp_path / "l").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "l").symlink_to(tmp_path / "theirs")
    with pytest.raises(OutputError, match="is a link"), locked(tmp_path / "l"):
        pass
    assert not (tmp_path / "theirs").exists()


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / "l"), pytest.raises(HeldError), locked(tmp_path / "l"):
        pass
    with locked(tmp_path / "l"):
        pass
