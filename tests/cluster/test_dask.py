from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

import bigcell
from bigcell import api
from bigcell.cluster.dask import DaskExecutor, start_workers
from bigcell.cluster.devices import visible_gpus
from bigcell.engine.runtime.executors import WorkersLostError
from bigcell.io.ngff.write_image import write_image
from bigcell.synthetic import sample_volume


@pytest.fixture(scope="module")
def pair() -> Iterator[DaskExecutor]:
    """Three workers on a machine with two GPUs (which are none)."""
    with closing(DaskExecutor.local(3, gpus=("GPU-a", "GPU-b"))) as executor:
        yield executor


def device(_: int) -> tuple[int, str | None]:
    time.sleep(0.02)
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")


def test_each_gpu_has_one_worker_which_runs_the_network(pair: DaskExecutor) -> None:
    pair.begin("predict_flows")
    seen = set(pair.map(device, range(40)))
    assert sorted(str(gpu) for _, gpu in seen) == ["GPU-a", "GPU-b"]
    pair.begin("follow_flows")
    seen = set(pair.map(device, range(60)))
    assert sorted(str(gpu) for _, gpu in seen) == ["", "GPU-a", "GPU-b"], "other stages use every worker"


def test_a_worker_that_dies_comes_back_to_its_gpu(pair: DaskExecutor) -> None:
    pair.begin("predict_flows")
    before = dict(pair.map(device, range(40)))
    victim = next(pid for pid, gpu in before.items() if gpu == "GPU-b")
    os.kill(victim, signal.SIGKILL)
    until = time.monotonic() + 120
    after: dict[int, str | None] = {}
    while sorted(map(str, after.values())) != ["GPU-a", "GPU-b"] and time.monotonic() < until:
        with suppress(WorkersLostError):  # what the victim had in hand
            after = dict(pair.map(device, range(40)))
    assert sorted(map(str, after.values())) == ["GPU-a", "GPU-b"]
    assert victim not in after


def test_no_gpus_no_change() -> None:
    with closing(DaskExecutor.local(1, gpus=())) as executor:
        executor.begin("predict_flows")
        assert {gpu for _, gpu in executor.map(device, range(3))} == {os.environ.get("CUDA_VISIBLE_DEVICES")}


def test_everything_listens_on_loopback(pair: DaskExecutor) -> None:
    """Scheduler, nannies and workers: in this process and in all that it started."""
    here = psutil.Process()
    found = [
        connection.laddr.ip
        for process in (here, *here.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(found) >= 4, "a scheduler and three workers"
    assert set(found) <= {"127.0.0.1", "::1"}


def models_read(_: int) -> tuple[int, int]:
    """How often this worker has read a model, and asked for one."""
    from bigcell.engine.tasks.predict import loaded_model

    found = loaded_model.cache_info()
    return found.misses, found.misses + found.hits


@dataclass
class Kept:
    """An executor that outlives the run it is lent to."""

    lent: DaskExecutor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lent, name)

    def close(self) -> None:
        pass


def test_a_model_is_loaded_once_in_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sample_volume((1, 130, 64), diameter=13, seed=3)
    image = write_image(tmp_path / "image.zarr", made.image, spacing=made.spacing)
    with closing(DaskExecutor.local(1)) as executor:
        monkeypatch.setattr(api, "choose_executor", lambda *_: Kept(executor))
        result = bigcell.segment(image, cluster="local", diameter=13, tile=32, block=(1, 65, 64))
        assert result.stages["predict_flows"]["run"] > 1
        read, asked = next(iter(executor.map(models_read, [0])))
    assert read == 1
    assert asked > 1


def test_gpus_of_this_machine(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "sda1"):
        (tmp_path / name).touch()
    assert visible_gpus(tmp_path, {}) == ("0", "1")
    assert visible_gpus(tmp_path, {"CUDA_VISIBLE_DEVICES": "2, GPU-x"}) == ("2", "GPU-x")
    assert visible_gpus(tmp_path, {"CUDA_VISIBLE_DEVICES": ""}) == ()
    assert visible_gpus(tmp_path, {"CUDA_VISIBLE_DEVICES": "-1"}) == ()
    assert visible_gpus(tmp_path / "missing", {}) == ()


DRIVER = """
import time
from bigcell.cluster.dask import DaskExecutor
if __name__ == "__main__":
    executor = DaskExecutor.local(2)
    list(executor.map(abs, range(4)))
    print("ready", flush=True)
    time.sleep(100)
"""


def test_workers_end_when_the_driver_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    driver = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "ready\n"
    workers = psutil.Process(driver.pid).children(recursive=True)
    assert len(workers) >= 2
    driver.kill()
    driver.wait()
    driver.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=120)
    assert not alive


@dataclass
class Interrupted:
    """A cluster whose user presses Ctrl-C while its workers start."""

    worker_spec: dict[int, Any]
    waited: int = 0

    def new_worker_spec(self) -> dict[int, Any]:
        return {len(self.worker_spec): None}

    def sync(self, function: Any, cluster: Any) -> None:
        self.waited += 1
        if self.waited == 1:
            raise KeyboardInterrupt


def test_an_interrupted_start_is_waited_for_before_it_can_be_closed() -> None:
    cluster = Interrupted({})
    with pytest.raises(KeyboardInterrupt):
        start_workers(cluster, [{"cls": "a"}, {"cls": "b"}])
    assert cluster.waited == 2
    assert [spec["cls"] for spec in cluster.worker_spec.values()] == ["a", "b"]
