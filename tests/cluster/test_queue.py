"""What queues are asked for. A real one is asked in test_slurm."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("dask_jobqueue", reason="needs dask-jobqueue: pip install 'bigcell[hpc]'")

import psutil
from distributed import connect
from distributed.security import Security

from bigcell.cluster.certificates import Certificates
from bigcell.cluster.preload import own_device
from bigcell.cluster.queue import CLUSTERS, QueueExecutor, _last_words, job_arguments
from bigcell.cluster.site import Allocation, Site
from bigcell.core.errors import SettingsError

LOOPBACK = next(n for n, found in psutil.net_if_addrs().items() if any(a.address == "127.0.0.1" for a in found))
GPU = Allocation(
    queue="gpu", account="lab", cores=8, memory="64GB", walltime="08:00:00", gpus=2, directives=("--qos=short",),
    prologue=("module load cuda",),
)  # fmt: skip
SITE = Site(LOOPBACK, network=GPU)

WANTED = {
    "slurm": [
        "-J bigcell-network",
        "-p gpu",
        "-A lab",
        "--cpus-per-task=8",
        "--mem=60G",
        "-t 08:00:00",
        "--gres=gpu:2",
    ],
    "lsf": ["-J bigcell-network", "-q gpu", '-P "lab"', "-n 8", "-M ", "-W 08:00", '-gpu "num=2"'],
    "sge": [
        "-N bigcell-network",
        "-q gpu",
        "-P lab",
        "-l h_rt=08:00:00",
        "-l gpu=2",
        "-pe smp 8",
        "-l h_vmem=7629M",
    ],
    "pbs": ["-N bigcell-network", "-q gpu", "-A lab", "-l select=1:ncpus=8:mem=61035MB:ngpus=2", "walltime=08:00:00"],
}
OWN_WAY: dict[str, Any] = {
    "cores_directive": "-pe smp {cores}",
    "memory_directive": "-l h_vmem={memory_per_core}",
}
MARKS = {"slurm": "#SBATCH", "lsf": "#BSUB", "sge": "#$", "pbs": "#PBS"}


def script(system: str, site: Site = SITE, wanted: Allocation = GPU, logs: Path = Path("/shared/my logs")) -> str:
    import dask_jobqueue

    arguments = job_arguments(system, site, wanted, "network", logs)
    for name in ("scheduler_options",):
        del arguments[name]
    job = getattr(dask_jobqueue, CLUSTERS[system]).job_cls
    made: str = job("tcp://127.0.0.1:7", name="bigcell-0", **arguments).job_script()
    return made


@pytest.mark.parametrize("system", ["slurm", "lsf", "sge", "pbs"])
def test_job_scripts(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dask_jobqueue.lsf.lsf_detect_units", lambda: "mb")
    text = script(system, wanted=replace(GPU, **OWN_WAY) if system == "sge" else GPU)
    header = [line for line in text.splitlines() if line.startswith(MARKS[system])]
    for wanted in WANTED[system]:  # all that the table names
        assert any(wanted in line for line in header), (wanted, text)
    assert any('"/shared/my logs' in line for line in header), "a log of each job, whatever its folder is called"
    assert f"{MARKS[system]} --qos=short" in header
    command = text.splitlines()[-1]
    assert command.startswith(sys.executable)
    assert " --nthreads 1 " in command[command.rindex("--nthreads") - 1 :], "one task at a time; the last one counts"
    assert "--nworkers 2" in command
    assert "--preload bigcell.cluster.preload" in command
    assert "--death-timeout 60" in command
    assert f"--interface {LOOPBACK}" in command
    assert "--worker-class bigcell.cluster.closed.ClosedWorker" in command, "one that serves no pages"
    before = text.splitlines()[:-1]
    assert before.index("module load cuda") < before.index("export DASK_TEMPORARY_DIRECTORY"), "it may name a disk"
    assert "export OMP_NUM_THREADS=4" in before, "each of two workers has half of the cores"
    assert "export DASK_DISTRIBUTED__WORKER__MEMORY__SPILL=False" in before


@pytest.mark.parametrize("folder", ["", "a disk/$(touch planted)", "-p"])
def test_scratch_of_a_job_is_its_owners_alone(tmp_path: Path, folder: str) -> None:
    """Dask puts it into Python's path: in a folder that everybody writes to, anybody could have made it first."""
    text = script("slurm", replace(SITE, local_directory=folder))
    assert "--local-directory" not in text
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("mkdir -p"))
    shell = "\n".join([*lines[start:-1], 'stat -c "%a %n" -- "$DASK_TEMPORARY_DIRECTORY"'])
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run(["bash", "-c", shell], env=environment, cwd=tmp_path, capture_output=True, text=True)
    mode, _, place = done.stdout.strip().partition(" ")
    assert (mode, done.stderr) == ("700", "")
    assert (tmp_path / place).parent == (tmp_path / (folder or "tmp"))
    assert not (tmp_path / place).exists(), "away when the job ends"
    assert not list(tmp_path.rglob("planted"))


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A queue that runs a job at once, on this machine, and writes its process to the file that is given."""
    folder, job = tmp_path / "bin", tmp_path / "job"
    folder.mkdir()
    (folder / "sbatch").write_text(
        f'#!/bin/sh\ncp "$1" {job}.sh\nbash {job}.sh > {job}.log 2>&1 &\necho $! > {job}\necho Submitted batch job 7\n'
    )
    (folder / "scancel").write_text(f'#!/bin/sh\npkill -TERM -P "$(cat {job})"\n')
    for file in folder.iterdir():
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    return job


def test_jobs_on_loopback_are_closed_to_other_accounts(queue: Path, tmp_path: Path) -> None:
    """Scheduler, nanny and worker listen, each for who has the certificate of the run, and nothing else does."""
    scratch = tmp_path / "scratch"
    site = Site(LOOPBACK, local_directory=str(scratch), cpu=Allocation(cores=1, memory="2GB"))
    with closing(QueueExecutor("slurm", site, tmp_path / "logs")) as executor:
        executor.begin("follow_flows")
        assert list(executor.map(abs, [-3])) == [3]
        job = psutil.Process(int(queue.read_text()))
        running = (psutil.Process(), *job.children(recursive=True))
        found = [c.laddr for p in running for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
        assert [address.ip for address in found] == ["127.0.0.1"] * 3
        strange = Security.temporary().get_connection_args("client")
        for address in found:
            with pytest.raises(OSError):
                asyncio.run(connect(f"tcp://127.0.0.1:{address.port}", timeout=2))
            with pytest.raises(OSError):
                asyncio.run(connect(f"tls://127.0.0.1:{address.port}", timeout=2, **strange))
    job.wait(60)
    assert not list(scratch.iterdir()), "what its workers kept is away with it"


def test_a_job_without_gpus_asks_for_none() -> None:
    text = script("slurm", wanted=Allocation(cores=3, memory="8GB"))
    assert "gpu" not in text
    assert "preload" not in text
    assert "export OMP_NUM_THREADS=3" in text
    assert "--gpus-per-node=2" in script("slurm", wanted=Allocation(gpus=2, gpu_directive="--gpus-per-node={gpus}"))


def test_what_a_shell_would_read_is_read_by_none() -> None:
    """In a header it is a remark; elsewhere it is quoted. Only the prologue is run."""
    strange = "a; $(touch planted) `touch planted` '\" {gpus.x} {n} %(x)s \\"
    wanted = Allocation(queue=strange, account=strange, gpus=1, gpu_directive=strange, directives=(strange,))
    text = script("slurm", replace(SITE, python=strange, local_directory=strange), wanted)
    left = [line for line in text.splitlines() if "planted" in line and not line.startswith("#SBATCH")]
    assert left
    assert [line for line in left if shlex.quote(strange) not in line] == []


def test_listening_beyond_loopback_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    QueueExecutor("slurm", SITE, Path("logs"))
    assert not caplog.messages
    QueueExecutor("slurm", Site(LOOPBACK, tls=False), Path("logs"))
    assert "NOT encrypted" in caplog.text
    caplog.clear()
    address = next(iter(psutil.net_if_addrs().values()))[0]._replace(family=2, address="10.0.0.7")
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"ib0": [address]})
    QueueExecutor("slurm", Site("ib0"), Path("logs"))
    QueueExecutor("slurm", Site("ib0", tls=False), Path("logs"))
    assert "listening on interface ib0, encrypted" in caplog.messages[0]
    assert "NOT encrypted: whoever reaches it can run code as you" in caplog.messages[1]


def test_certificates_are_for_one_user_and_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Certificates.make(tmp_path), Certificates.make(tmp_path)
    texts = [file.read_bytes() for made in (first, second) for file in made.files]
    assert len(set(texts)) == 4, "a key and a certificate, which vouches for itself, for each"
    for file in first.files:
        assert file.parent == tmp_path
        assert os.stat(file).st_mode & 0o777 == 0o600
    assert first.security.get_tls_config_for_role("worker")["key"] == str(first.files[2])
    first.remove()
    first.remove()
    assert sorted(tmp_path.iterdir()) == sorted(second.files)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Certificates.make(tmp_path / "a b").files[0].parent == tmp_path / "cache" / "bigcell"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c d"))
    with pytest.raises(SettingsError, match="whose names hold spaces"):
        Certificates.make(tmp_path / "a b")


def test_workers_of_a_job_take_one_gpu_each() -> None:
    assert [own_device(f"SLURMCluster-7-{i}", "4,5") for i in range(2)] == ["4", "5"]
    assert own_device("SLURMCluster-7", "GPU-x") == "GPU-x"


def test_last_words(tmp_path: Path) -> None:
    assert _last_words(tmp_path).endswith(f"see {tmp_path}")
    (tmp_path / "a.log").write_text("first\nImportError: no bigcell\n\n")
    assert "'ImportError: no bigcell'" in _last_words(tmp_path)
