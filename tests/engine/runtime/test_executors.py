from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bigcell.cluster.choose import choose_executor
from bigcell.core.errors import BigcellError, InputError, SettingsError
from bigcell.engine.runtime.executors import THREAD_VARIABLES
from bigcell.engine.runtime.machine import cores


def double(n: int) -> int:
    if n == 13:
        raise InputError("thirteen")
    return 2 * n


@pytest.mark.parametrize("kind", ["serial", "processes", "local"])
def test_every_executor_gives_every_result_once(kind: str) -> None:
    executor = choose_executor(kind, 2)
    try:
        assert sorted(executor.map(double, range(12))) == list(range(0, 24, 2))
        with pytest.raises(InputError, match="thirteen"):
            list(executor.map(double, [1, 13]))
        assert list(executor.map(double, [])) == []
        assert sorted(executor.map(double, [3])) == [6]  # and goes on after an error
    finally:
        executor.close()


def threads(_: int) -> tuple[str | None, str | None]:
    return os.environ.get("NUMBA_NUM_THREADS"), os.environ.get("OMP_NUM_THREADS")


@pytest.mark.parametrize("kind", ["processes", "local"])
def test_workers_share_the_cores_and_this_process_keeps_its_own(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    executor = choose_executor(kind, 2)
    share = str(max(1, (os.cpu_count() or 1) // 2))
    try:
        assert list(executor.map(threads, [1])) == [(share, share)]
        assert threads(0) == (None, None)
    finally:
        executor.close()


SCRIPT = """
import numba
import torch
from bigcell.engine.runtime.executors import ProcessExecutor


def threads(_):
    found = numba.get_num_threads(), torch.get_num_threads()  # starts numba's threads
    numba.njit(lambda x: x + 1)(1)  # compiles, which reads the environment again
    return found


if __name__ == "__main__":
    executor = ProcessExecutor(2)
    print(*executor.map(threads, [0]))
    executor.close()
"""


def test_a_script_that_imports_numba_and_torch_has_workers_of_their_share(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    run = [sys.executable, str(tmp_path / "script.py")]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    share = max(1, cores() // 2)
    assert done.stdout.strip() == str((share, share))


@pytest.mark.parametrize("kind", ["serial", "processes", "local"])
def test_only_a_few_items_are_taken_ahead(kind: str) -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for i in range(1000):
            taken += 1
            yield 2 * i + 20

    executor = choose_executor(kind, 2)
    try:
        results = executor.map(double, source())
        next(results)
        assert taken < 20
        results.close()  # type: ignore[attr-defined]
    finally:
        executor.close()


def test_unknown_words_and_dead_addresses() -> None:
    with pytest.raises(SettingsError, match="wanted serial"):
        choose_executor("slurm9", 1)
    with pytest.raises(BigcellError, match="no dask scheduler answers"):
        choose_executor("tcp://127.0.0.1:9", 1)


@pytest.mark.parametrize("executor", ["processes", "local"])
def test_workers_give_memory_back(executor: str) -> None:
    """Large pieces of memory that are freed do not stay with the worker."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("heaps are told to stay small where the C library is glibc")
    with closing(choose_executor(executor, 2)) as workers:
        held = list(workers.map(_left_behind, range(1)))
    assert max(held) < 15e6


def _left_behind(_: int) -> int:
    """Bytes that this process holds more after it has taken and freed 30, 4, 5 .. 23 MB, with a little kept between."""
    before, kept = _resident(), []
    for megabytes in (30, *range(4, 24)):
        large = b"x" * (megabytes << 20)
        kept.append(b"y" * 100_000)
        del large
    return _resident() - before


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
