"""Workers of an array are killed (-9) at random moments and others come in their place: the bytes are the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bigcell
from bigcell import api
from bigcell.core.box import Box
from bigcell.testing.files import files_of
from bigcell.testing.flows import FlowLattice

BLOCK = (18, 30, 23)
WORKERS = 3
# Notes every task that this process itself does, once it is in the journal.
WORKER = """
import sys
from bigcell.testing.disturbed import note_tasks
note_tasks(sys.argv[1])
from bigcell import api
api.worker(sys.argv[2], index=int(sys.argv[3]), of=int(sys.argv[4]))
"""


def begin(out: Path, index: int) -> subprocess.Popen[bytes]:
    with (out.parent / "stderr").open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, str(out.parent / "done"), str(out), str(index), str(WORKERS)],
            env={**os.environ, "BIGCELL_TASK_PAUSE": "0.1", "OMP_NUM_THREADS": "1"}, stderr=errors,
        )  # fmt: skip


def told(out: Path) -> list[str]:
    log = out.parent / "done"
    return log.read_text().splitlines() if log.exists() else []


def disturb(out: Path, chance: random.Random, tasks: int, kills: int) -> None:
    """Kill a worker `kills` times, somewhere among the tasks, and start another one; return when all have ended."""
    everyone = [begin(out, i) for i in range(WORKERS)]
    moments = sorted(chance.sample(range(1, tasks - 5), kills))
    last = time.monotonic() + 300
    try:
        while any(worker.poll() is None for worker in everyone):
            assert time.monotonic() < last, (out.parent / "stderr").read_text()
            if moments and len(told(out)) >= moments[0]:
                moments.pop(0)
                index = chance.randrange(WORKERS)
                everyone[index].send_signal(signal.SIGKILL)
                everyone[index].wait()
                everyone[index] = begin(out, index)
            time.sleep(0.02)
    finally:
        for worker in everyone:
            worker.kill()
            worker.wait()
    assert [worker.returncode for worker in everyone] == [0] * WORKERS, (out.parent / "stderr").read_text()


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(300, 306))
def test_an_array_is_disturbed(tmp_path: Path, store: Callable[..., Path], seed: int) -> None:
    lattice = FlowLattice((36, 60, 68), diameter=13, noise=0.5)
    flows = store(tmp_path / "flows.zarr", lattice.read(Box.of(lattice.extent)), levels=2, spacing=0.5)
    done = list[Any]()
    plain = bigcell.segment(
        flows=flows, output=tmp_path / "plain.zarr", block=BLOCK, cluster="serial", listener=done.append
    )
    tasks = sum(type(event).__name__ == "TaskDone" for event in done)
    out = tmp_path / "out.zarr"
    api.save_plan(flows=flows, output=out, block=BLOCK)
    disturb(out, random.Random(seed), tasks, kills=4)
    assert files_of(out / "labels" / "cells") == files_of(Path(str(plain.path))), seed
    repeated = [task for task, times in Counter(told(out)).items() if times > 1]
    assert repeated == [], seed
    assert not (tmp_path / "out.zarr.bigcell").exists()
