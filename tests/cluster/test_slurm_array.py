"""Job arrays of a real SLURM on this machine: ./scripts/test --slurm sets one up, and ends it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import bigcell
from bigcell import api
from bigcell.engine.runs.find_run import read_status
from bigcell.testing.files import files_of

pytestmark = pytest.mark.slurm
NAME = "bigcell-array"


def queued() -> list[str]:
    """Our jobs that are not over."""
    asked = ["squeue", "-h", "-r", "-n", NAME, "-o", "%i %T"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(autouse=True)
def an_empty_queue(slurm: None) -> Iterator[None]:
    yield
    subprocess.run(["scancel", "-n", NAME], check=False)
    last = time.monotonic() + 30
    while queued() and time.monotonic() < last:
        time.sleep(0.5)


@pytest.fixture(scope="module")
def plain(image: Path) -> dict[str, bytes]:
    """What one process makes of the image."""
    out = image.with_name("plain.zarr")
    bigcell.segment(image, output=out, cluster="serial", diameter=13, tile=32, block=(6, 24, 26))
    return files_of(out / "labels" / "cells")


def submit(image: Path, out: Path, jobs: int, pause: str) -> subprocess.Popen[str]:
    """Plan a run and submit an array for it. The process lasts until all jobs are over; its status is the worst."""
    api.save_plan(image, output=out, diameter=13, tile=32, block=(6, 24, 26))
    bigcell_here = shlex.join([sys.executable, "-c", "from bigcell.cli import main; main()"])
    command = f"{bigcell_here} worker {shlex.quote(str(out))} --index $SLURM_ARRAY_TASK_ID --of {jobs}"
    words = ["sbatch", "--wait", "-J", NAME, f"--array=0-{jobs - 1}", "-c", "1", "--mem", "2G", "-t", "10"]
    words += ["--output", str(out.parent / "job-%a.log"), "--wrap", command]
    environment = {**os.environ, "BIGCELL_TASK_PAUSE": pause}
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def logs(out: Path) -> str:
    return "\n".join(f"{path.name}:\n{path.read_text()}" for path in sorted(out.parent.glob("job-*.log")))


def test_an_array_makes_the_labels_of_one_process(image: Path, plain: dict[str, bytes], tmp_path: Path) -> None:
    """On fewer cores than jobs: some begin when others have ended, and find nothing left to do."""
    out = tmp_path / "out.zarr"
    array = submit(image, out, jobs=3, pause="0.05")
    said, _ = array.communicate(timeout=500)
    assert array.returncode == 0, said + logs(out)
    assert files_of(out / "labels" / "cells") == plain
    assert logs(out).count(" objects\n") == 3, "each job tells of the result"
    assert not (tmp_path / "out.zarr.bigcell").exists()


def test_a_job_that_is_cancelled_is_not_missed(image: Path, plain: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    array = submit(image, out, jobs=2, pause="0.5")
    last = time.monotonic() + 300
    while read_status(out).workers.get("alive", 0) < 2:
        assert time.monotonic() < last, logs(out)
        time.sleep(0.5)
    job = next(line.split()[0] for line in queued() if line.split()[0].endswith("_1"))
    subprocess.run(["scancel", job], check=True)
    array.communicate(timeout=500)
    assert files_of(out / "labels" / "cells") == plain, logs(out)
