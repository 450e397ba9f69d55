"""What this process may use of the machine: cores and memory, as affinity, control groups and SLURM allow."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from math import ceil
from pathlib import Path

import psutil

ROOT = Path("/")
UNLIMITED = 1 << 60
"""Version 1 of control groups says "no limit" with a number this large."""


def cores(root: Path = ROOT, environment: Mapping[str, str] = os.environ) -> int:
    """Cores this process may keep busy: never more than it is bound to, its control group's quota, or SLURM's share."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [bound, *_quotas(root)]
    share = _number(environment.get("SLURM_CPUS_PER_TASK") or environment.get("SLURM_CPUS_ON_NODE"))
    if share:
        limits.append(share)
    return max(1, min(limits))


def free_memory(root: Path = ROOT, environment: Mapping[str, str] = os.environ) -> int:
    """Bytes that can still be taken: what the machine has free, but no more than what limits leave.

    Pages of files that a control group could give back count as free. SLURM's limit is of the whole job; of it, what
    this process holds is taken off.
    """
    left: list[int] = [psutil.virtual_memory().available, *_rooms(root)]
    granted = _slurm_bytes(environment)
    if granted:
        left.append(granted - psutil.Process().memory_info().rss)
    return max(0, int(min(left)))


@cache
def torch_is_for_gpus() -> bool:
    """Whether the torch that is installed is built for GPUs, by its own file of versions. Nothing is imported."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    return is_for_gpus(_read(Path(spec.origin).with_name("version.py")))


def is_for_gpus(version: str) -> bool:
    """Whether torch's file of versions names a toolkit for GPUs.

    >>> is_for_gpus("cuda: Optional[str] = '13.0'"), is_for_gpus("cuda: Optional[str] = None")
    (True, False)
    """
    return re.search(r"^(cuda|hip|rocm|xpu)\b[^=\n]*= *['\"]", version, re.MULTILINE) is not None


def _slurm_bytes(environment: Mapping[str, str]) -> int:
    """Memory of the SLURM job on this node; 0 if there is none, or no limit. SLURM counts in MiB."""
    whole = _number(environment.get("SLURM_MEM_PER_NODE"))
    if not whole:
        count = _number(environment.get("SLURM_CPUS_PER_TASK") or environment.get("SLURM_CPUS_ON_NODE")) or 1
        whole = _number(environment.get("SLURM_MEM_PER_CPU")) * count
    return whole << 20


def _quotas(root: Path) -> Iterator[int]:
    """Cores that the quotas of this control group and those above it come to."""
    for folder in _groups(root, ""):
        quota, *period = _read(folder / "cpu.max").split()[:2] or ["max"]
        if period and _number(quota) > 0 and _number(period[0]) > 0:
            yield ceil(_number(quota) / _number(period[0]))
    for folder in _groups(root, "cpu"):
        runtime, each = _number(_read(folder / "cpu.cfs_quota_us")), _number(_read(folder / "cpu.cfs_period_us"))
        if runtime > 0 and each > 0:
            yield ceil(runtime / each)


def _rooms(root: Path) -> Iterator[int]:
    """Bytes that the limits of this control group and those above it leave."""
    names = {"": ("memory.max", "memory.current", "inactive_file")}
    names["memory"] = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    for controller, (limit, used, cached) in names.items():
        for folder in _groups(root, controller):
            most = _number(_read(folder / limit))
            if 0 < most < UNLIMITED:
                rows = dict(
                    line.split(maxsplit=1) for line in _read(folder / "memory.stat").splitlines() if " " in line
                )
                yield most - _number(_read(folder / used)) + _number(rows.get(cached))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of this process's control group and of all above it; `controller` "" is version 2."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / controller
        folder = top / path.lstrip("/")
        if ".." in folder.parts:  # a group outside of what this container sees
            folder = top
        while folder != top:
            yield folder
            folder = folder.parent
        yield top


def _read(path: Path) -> str:
    """The text of a system file; "" where it is not there or not ours to read."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _number(text: str | None) -> int:
    """A whole number; 0 for anything else, such as "max".

    >>> _number("2048"), _number("-1\\n"), _number("max"), _number(None)
    (2048, -1, 0, 0)
    """
    try:
        return int(text or 0)
    except ValueError:
        return 0
