from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
import torch

from bigcell.engine.runtime.machine import cores, free_memory, torch_is_for_gpus

GB = 1 << 30


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture(autouse=True)
def large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 cores and 500 GB, whatever runs the tests."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 500 * GB}))


def test_no_limits(tmp_path: Path) -> None:
    assert cores(tmp_path, {}) == 64
    assert free_memory(tmp_path, {}) == 500 * GB


def test_a_process_bound_to_some_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert cores(tmp_path, {}) == 3


def test_control_groups_of_version_2(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/user/job"
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user/job\n",
            f"{group}/memory.max": f"{8 * GB}\n",
            f"{group}/memory.current": f"{5 * GB}\n",
            f"{group}/memory.stat": f"anon 1\ninactive_file {2 * GB}\nfile {3 * GB}\n",
            f"{group}/cpu.max": "250000 100000\n",
        },
    )
    assert cores(root, {}) == 3
    assert free_memory(root, {}) == 5 * GB
    write(root, {"sys/fs/cgroup/user/memory.max": f"{4 * GB}", "sys/fs/cgroup/user/memory.current": f"{1 * GB}"})
    write(root, {"sys/fs/cgroup/user/cpu.max": "max 100000", "sys/fs/cgroup/cpu.max": "200000 100000"})
    assert cores(root, {}) == 2, "a group above may allow less"
    assert free_memory(root, {}) == 3 * GB


def test_control_groups_of_version_1(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n",
            "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": str(4 * GB),
            "sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes": str(1 * GB),
            "sys/fs/cgroup/memory/docker/abc/memory.stat": "total_inactive_file 1024\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "400000",
            "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
    )
    assert cores(root, {}) == 4
    assert free_memory(root, {}) == 3 * GB + 1024


def test_a_container_sees_its_own_group_at_the_top(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/../../secret\n", "sys/fs/cgroup/memory.max": str(GB)}
    root = write(tmp_path, {**files, "secret/memory.max": "1", "sys/fs/cgroup/memory.current": "0"})
    assert free_memory(root, {}) == GB


def test_slurm_says_what_a_job_has(tmp_path: Path) -> None:
    held = psutil.Process().memory_info().rss
    assert cores(tmp_path, {"SLURM_CPUS_PER_TASK": "6", "SLURM_CPUS_ON_NODE": "12"}) == 6
    assert cores(tmp_path, {"SLURM_CPUS_ON_NODE": "12"}) == 12
    whole = free_memory(tmp_path, {"SLURM_MEM_PER_NODE": "10240"})
    assert abs(whole - (10 * GB - held)) < GB // 10
    each = free_memory(tmp_path, {"SLURM_MEM_PER_CPU": "2048", "SLURM_CPUS_ON_NODE": "4"})
    assert abs(each - (8 * GB - held)) < GB // 10
    assert free_memory(tmp_path, {"SLURM_MEM_PER_NODE": "0"}) == 500 * GB, "0 is all of the node"


@pytest.mark.parametrize("text", ["", "max", "max 100000", "nonsense here", "-1 100000", "0 0", "100000"])
def test_odd_files_limit_nothing(tmp_path: Path, text: str) -> None:
    files = {"proc/self/cgroup": "0::/\nnonsense\n", "sys/fs/cgroup/cpu.max": text, "sys/fs/cgroup/memory.max": "max"}
    root = write(tmp_path, files)
    assert cores(root, {"SLURM_CPUS_PER_TASK": "4(x2)"}) == 64
    assert free_memory(root, {}) == 500 * GB


def test_what_torch_is_built_for_is_what_torch_says() -> None:
    assert torch_is_for_gpus() == any((torch.version.cuda, torch.version.hip, torch.version.xpu))
