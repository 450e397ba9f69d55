"""Runs in the queue of a real SLURM on this machine: ./scripts/test --slurm sets one up, and ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import bigcell
from bigcell.cluster.choose import choose_executor
from bigcell.core.errors import PlanError
from bigcell.testing.files import files_of

pytestmark = pytest.mark.slurm

SITE = """
interface = "lo"
tls = {tls}
[network]
queue = "{queue}"
cores = 1
memory = "3GB"
gpus = 1
walltime = "00:20:00"
[cpu]
queue = "{queue}"
cores = 1
memory = "3GB"
jobs = 2
walltime = "00:20:00"
"""
OURS = ("bigcell-network", "bigcell-cpu")


def queued(*, every: bool = False) -> dict[str, tuple[str, str, str, str]]:
    """Our jobs: id to name, GPUs, state, times of start and end. Those that are over count only if `every`."""
    asked = ["squeue", "-h", "-o", "%i|%j|%b|%T|%S|%e", *(["-t", "all"] if every else [])]
    lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    jobs = (line.split("|") for line in lines)
    return {job[0]: (job[1], job[2], job[3], "|".join(job[4:])) for job in jobs if job[1] in OURS}


def emptied(seconds: float) -> bool:
    """Whether none of our jobs is left, within that time."""
    until = time.monotonic() + seconds
    while queued() and time.monotonic() < until:
        time.sleep(0.5)
    return not queued()


@pytest.fixture(autouse=True)
def an_empty_queue(slurm: None) -> Iterator[None]:
    assert emptied(30), "jobs of an earlier test are still there"
    yield
    left = list(queued())
    if left:
        subprocess.run(["scancel", *left], check=False)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_site(tmp_path)


def write_site(folder: Path, *, queue: str = "main", tls: str = "true") -> Path:
    path = folder / "site.toml"
    path.write_text(SITE.format(queue=queue, tls=tls))
    return path


def test_both_stages_in_jobs_of_their_own_give_the_labels_of_one_process(
    image: Path, site: Path, tmp_path: Path
) -> None:
    options = {"diameter": 13, "tile": 32, "block": (6, 24, 26)}
    before = queued(every=True)
    plain = bigcell.segment(image, output=tmp_path / "plain.zarr", cluster="serial", **options)
    result = bigcell.segment(image, output=tmp_path / "queued.zarr", cluster=f"slurm:{site}", **options)
    assert result.objects == plain.objects > 3
    assert files_of(tmp_path / "queued.zarr" / "labels" / "cells") == files_of(
        tmp_path / "plain.zarr" / "labels" / "cells"
    )
    assert emptied(20), "jobs outlived the run"
    jobs = [job for key, job in queued(every=True).items() if key not in before]
    assert sorted((name, "gpu:1" in gpus) for name, gpus, _, _ in jobs) == [
        ("bigcell-cpu", False),
        ("bigcell-cpu", False),
        ("bigcell-network", True),
    ]
    times = {name: when.split("|") for name, _, _, when in jobs}
    assert times["bigcell-network"][1] <= times["bigcell-cpu"][0], "the GPU was held longer than the network ran"


def segment_slowly(image: Path, site: Path, out: Path, pause: str = "0.3") -> subprocess.Popen[str]:
    """`bigcell segment` in a process of its own, with tasks that take their time."""
    words = ["segment", str(image), "--output", str(out), "--cluster", f"slurm:{site}", "--diameter", "13"]
    words += ["--tile", "32", "--block", "6,24,26"]
    return subprocess.Popen(
        [sys.executable, "-c", "from bigcell.cli import main; main()", *words],
        env={**os.environ, "BIGCELL_TASK_PAUSE": pause},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def await_running(name: str, driver: subprocess.Popen[str]) -> str:
    """The id of a running job of that name."""
    until = time.monotonic() + 90
    while time.monotonic() < until and driver.poll() is None:
        for key, (found, _, state, _) in queued().items():
            if found == name and state == "RUNNING":
                return key
        time.sleep(0.3)
    driver.kill()
    pytest.fail(f"no {name} came to run: {driver.communicate()[0]}")


@pytest.mark.parametrize(("when", "stop"), [("bigcell-network", signal.SIGINT), ("bigcell-cpu", signal.SIGINT)])
def test_a_cancelled_run_leaves_no_job_and_can_be_resumed(
    image: Path, site: Path, tmp_path: Path, when: str, stop: signal.Signals
) -> None:
    out = tmp_path / "out.zarr"
    driver = segment_slowly(image, site, out)
    await_running(when, driver)
    time.sleep(4)
    driver.send_signal(stop)
    said, _ = driver.communicate(timeout=60)
    assert driver.returncode == 130, said
    assert "Traceback" not in said
    assert emptied(20), "cancelled, but its jobs run on"
    logs = sorted(p.name for p in tmp_path.glob("out.zarr.bigcell/*/logs/*.log"))
    assert any(name.startswith(when) for name in logs), logs
    bigcell.resume(out, cluster="serial")
    bigcell.segment(image, output=tmp_path / "plain.zarr", cluster="serial", diameter=13, tile=32, block=(6, 24, 26))
    assert files_of(out / "labels" / "cells") == files_of(tmp_path / "plain.zarr" / "labels" / "cells")


def test_jobs_end_when_the_driver_is_killed(image: Path, site: Path, tmp_path: Path) -> None:
    driver = segment_slowly(image, site, tmp_path / "out.zarr", pause="1")
    await_running("bigcell-network", driver)
    time.sleep(5)
    driver.kill()
    driver.communicate()
    assert emptied(90), "the scheduler is gone, but its workers are not"


def test_a_job_that_ends_too_early_is_asked_for_again(image: Path, site: Path, tmp_path: Path) -> None:
    before = queued(every=True)
    driver = segment_slowly(image, site, tmp_path / "out.zarr")
    job = await_running("bigcell-network", driver)
    time.sleep(5)
    subprocess.run(["scancel", job], check=True)
    said, _ = driver.communicate(timeout=120)
    assert driver.returncode == 0, said
    names = [job[0] for key, job in queued(every=True).items() if key not in before]
    assert names.count("bigcell-network") == 2
    bigcell.segment(image, output=tmp_path / "plain.zarr", cluster="serial", diameter=13, tile=32, block=(6, 24, 26))
    assert files_of(tmp_path / "out.zarr" / "labels" / "cells") == files_of(
        tmp_path / "plain.zarr" / "labels" / "cells"
    )


def test_a_queue_that_takes_no_job(tmp_path: Path) -> None:
    site = write_site(tmp_path, queue="nowhere", tls="false")
    with (
        closing(choose_executor(f"slurm:{site}", 1, tmp_path / "logs")) as executor,
        pytest.raises(PlanError, match=r"the queue took no job: .*invalid partition.*mend the site file"),
    ):
        executor.begin("predict_flows")


def test_a_job_that_ends_before_its_worker_begins(tmp_path: Path) -> None:
    site = write_site(tmp_path, tls="false")
    site.write_text(site.read_text().replace("gpus = 1", 'gpus = 1\nprologue = ["echo no such module", "exit 3"]'))
    with (
        closing(choose_executor(f"slurm:{site}", 1, tmp_path / "logs")) as executor,
        pytest.raises(PlanError, match=r"ended before a worker of theirs got through: 'no such module'"),
    ):
        executor.begin("predict_flows")
