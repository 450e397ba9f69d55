from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest

from bigcell.cluster.choose import check_cluster, check_queue, is_queue
from bigcell.cluster.site import Allocation, Site, read_site
from bigcell.core.errors import PlanError, SettingsError

LOOPBACK = next(n for n, found in psutil.net_if_addrs().items() if any(a.address == "127.0.0.1" for a in found))
GOOD = f"""
interface = "{LOOPBACK}"
[network]
queue = "gpu"
cores = 8
memory = "64GB"
gpus = 2
directives = ["--qos=short"]
[cpu]
queue = "long"
jobs = 20
"""


@pytest.fixture(autouse=True)
def commands(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands of every queue, none of which does anything."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("sbatch", "bsub", "qsub"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("system", ["slurm", "lsf", "pbs"])
def test_a_site_is_read(file: Path, system: str) -> None:
    found, site = read_site(f"{system}:{file}")
    assert found == system
    assert site.network == Allocation(queue="gpu", cores=8, memory="64GB", gpus=2, directives=("--qos=short",))
    assert site.network.processes == 2
    assert site.network.worker_bytes == 32e9
    assert (site.cpu.queue, site.cpu.jobs, site.cpu.processes) == ("long", 20, 1)
    assert site.is_loopback
    assert site.encrypts, "every account of a machine reaches its loopback"


@pytest.mark.parametrize(
    ("table", "missing"),
    [
        ("cores = 8", "memory"),
        ('cores = 8\nmemory_directive = "-l h_vmem={memory}"', "cores"),
        ('cores = 8\ncores_directive = "-pe smp {cores}"', "memory"),
        ('cores = 8\ndirectives = ["-pe smp 8"]', "memory"),
        ("cores = 1", "memory"),
        ('cores = 1\nmemory_directive = "-l h_vmem={memory}"', ""),
        ('cores = 8\ndirectives = ["-pe smp 8", "-l mem_free=2G"]', ""),
        ('cores = 8\ncores_directive = "-pe mpi {cores}"\nmemory_directive = "-l m_mem_free={memory_per_core}"', ""),
    ],
)
def test_sge_is_asked_for_all_that_is_named_or_for_nothing(file: Path, table: str, missing: str) -> None:
    """Dask-jobqueue asks it for neither cores nor memory, and every site does so in its own way."""
    file.write_text(f'interface = "{LOOPBACK}"\n[cpu]\n{table}')
    if missing:
        with pytest.raises(
            SettingsError, match=rf"\[network\] says not how SGE is asked for {missing}.*as in {missing}_"
        ):
            read_site(f"sge:{file}")
    else:
        assert read_site(f"sge:{file}")[0] == "sge"
    assert read_site(f"slurm:{file}")[0] == "slurm"


def test_where_the_file_is_looked_for(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("BIGCELL_CLUSTER", raising=False)
    with pytest.raises(SettingsError, match=r"no site file at .*cluster\.toml: name one"):
        read_site("slurm")
    monkeypatch.setenv("BIGCELL_CLUSTER", str(file))
    assert read_site("slurm")[1].cpu.queue == "long"


def test_one_table_stands_for_both(file: Path) -> None:
    file.write_text(f'interface = "{LOOPBACK}"\n[cpu]\nqueue = "all"')
    site = read_site(f"slurm:{file}")[1]
    assert site.network == site.cpu
    assert site.cpu.queue == "all"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("queue = ", "quue = ", "did you mean 'queue'"),
        ("[network]", "[networks]", "did you mean 'network'"),
        (f'interface = "{LOOPBACK}"', "", "names no interface: wanted the network"),
        (f'interface = "{LOOPBACK}"', 'interface = "ib77"', "'ib77' is not here: wanted"),
        ("cores = 8", "cores = 0", "cores 0: wanted a whole number, 1 or more"),
        ("cores = 8", "cores = true", "cores True: wanted a whole number"),
        ("cores = 8", "cores = 1", "2 workers on 1 cores"),
        ('"64GB"', '"64 giraffes"', "memory '64 giraffes': wanted the memory of a job"),
        ('"64GB"', '"1e999GB"', "memory '1e999GB': wanted the memory of a job"),
        ('"64GB"', "64", "memory 64: wanted"),
        ("gpus = 2", "gpus = 2\nworkers = 3", "3 workers for 2 GPUs"),
        ("gpus = 2", "walltime = 08:00:00", "walltime"),
        ("gpus = 2", 'walltime = "soon"', "walltime 'soon': wanted hours"),
        ('["--qos=short"]', '"--qos=short"', "directives '--qos=short': wanted a list"),
        ('["--qos=short"]', '["a\\nb"]', "wanted one line"),
        ('queue = "long"', "queue = 3", "queue 3: wanted one line"),
        ("[network]", "tls = 1\n[network]", "tls 1: wanted true or false"),
        ("[network]", "wait = 0\n[network]", "wait 0: wanted hours"),
        ("[network]", "[network", "cannot be read"),
        (GOOD, f'interface = "{LOOPBACK}"', r"wanted the tables \[network\] and \[cpu\]"),
        (GOOD, f'interface = "{LOOPBACK}"\nnetwork = 3\n[cpu]', "network 3: wanted a table"),
    ],
)
def test_what_is_wrong_in_a_site_file_is_said_at_once(file: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(SettingsError, match=said) as refused:
        check_cluster(f"slurm:{file}")
    assert str(file) in str(refused.value)


LONG = "9" * 5000
HOSTILE = {
    "two lines": '"a\\nb"',
    "a carriage return": '"a\\rb"',
    "a null byte": '"a\\u0000b"',
    "a line of Unicode": '"a\\u2028b"',
    "an escape": '"\\u001b[2J"',
    "digits": LONG,
    "hexadecimal digits": f"0x{'f' * 5000}",
    "beyond floats": '"1e400GB"',
    "digits in quotes": f'"{LONG}"',
    "not a number": "nan",
    "endless": "inf",
    "a list": "[1, [2]]",
    "a table": "{ a = 1 }",
    "a date": "1979-05-27",
    "nested": "[" * 5000 + "]" * 5000,
    "long": f'"{"x" * 200_000}\\n"',
    "less than nothing": "-1",
    "cells": "1" + "0" * 30,
}
FIELDS = {
    "file": ("interface", "tls", "wait", "python", "local_directory", "network", "cpu"),
    "cpu": ("queue", "account", "cores", "memory", "walltime", "gpus", "jobs", "workers", "gpu_directive", "directives",
            "prologue"),
}  # fmt: skip


TEXTS = {"python", "local_directory", "queue", "account", "gpu_directive"}
"""Any line of text could be right in these."""


@pytest.mark.parametrize(("table", "name"), [(table, name) for table, names in FIELDS.items() for name in names])
def test_whatever_stands_in_a_field_is_refused_with_a_sentence(file: Path, table: str, name: str) -> None:
    interface = "" if name == "interface" else f'interface = "{LOOPBACK}"'
    for what, value in HOSTILE.items():
        if name in TEXTS and what in ("beyond floats", "digits in quotes"):
            continue
        line = f"{name} = {value}"
        file.write_text("\n".join([interface, line * (table == "file"), "[cpu]", line * (table == "cpu")]))
        with pytest.raises(SettingsError) as refused:
            check_cluster(f"slurm:{file}")
        assert len(str(refused.value)) < 600, what
        assert str(refused.value).isprintable(), what


@pytest.mark.parametrize("key", ['"a\\nb"', "x" * 5000, '"$(touch planted)"', '""', "__post_init__", "a.b.c"])
def test_keys_that_nobody_knows(file: Path, key: str) -> None:
    for text in (f"{key} = 1\n{GOOD}", f"{GOOD}\n{key} = 1"):
        file.write_text(text)
        with pytest.raises(SettingsError, match="has no setting") as refused:
            check_cluster(f"slurm:{file}")
        assert str(refused.value).isprintable()


@pytest.mark.parametrize("named", ["~nosuch/site.toml", "/dev/null/x", "a\0b", "x" * 300, "."])
def test_files_that_are_none(named: str) -> None:
    with pytest.raises(SettingsError, match=r"no site file at|cannot be read"):
        check_cluster(f"slurm:{named}")


def test_a_file_that_is_no_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read"):
        check_cluster(f"slurm:{file}")


def test_a_machine_that_cannot_submit(file: Path, commands: Path) -> None:
    (commands / "bsub").unlink()
    with pytest.raises(SettingsError, match="submits jobs with bsub, which is not here"):
        check_cluster(f"lsf:{file}")


def test_without_dask_jobqueue(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigcell.cluster.site.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"pip install 'bigcell\[hpc\]'"):
        check_cluster(f"slurm:{file}")


def test_words(tmp_path: Path) -> None:
    assert is_queue("pbs:a:b.toml")
    for word in ("slurm9", "slurmy:site.toml", "locl", ""):
        assert not is_queue(word)
        with pytest.raises(SettingsError, match="wanted serial, processes, local, slurm"):
            check_cluster(word)
    for word in (None, "serial", "processes", "local", "tcp://somewhere:8786"):
        check_cluster(word)


def test_a_bad_site_is_refused_before_any_work(tmp_path: Path, file: Path) -> None:
    import bigcell

    file.write_text("nonsense")
    missing: Any = tmp_path / "missing.zarr"
    for verb in (bigcell.segment, bigcell.resume, bigcell.rerun):
        with pytest.raises(SettingsError, match="cannot be read"):
            verb(missing, cluster=f"slurm:{file}")
    assert list(tmp_path.iterdir()) == [file]


def test_open_networks_are_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    address = next(iter(psutil.net_if_addrs().values()))[0]._replace(family=2, address="10.0.0.7")
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"ib0": [address]})
    assert not Site("ib0").is_loopback
    assert Site("ib0").encrypts
    assert not Site("ib0", tls=False).encrypts


def test_blocks_too_large_for_the_jobs(file: Path) -> None:
    check_queue(f"slurm:{file}", 32 * 10**9, network=True)
    with pytest.raises(PlanError, match=r"needs 32\.1 GB for these blocks, jobs of \[network\] give it 32\.0"):
        check_queue(f"slurm:{file}", 32_100_000_000, network=True)
    with pytest.raises(PlanError, match=r"jobs of \[cpu\] give it 16\.0: raise memory"):
        check_queue(f"slurm:{file}", 20 * 10**9, network=False)
    check_queue("tcp://elsewhere:1", 10**15, network=True)
