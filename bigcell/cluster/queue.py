"""The executor on a batch queue: jobs that ask for GPUs run the network, others all the rest.

The scheduler is in this process and the jobs hold workers of it. When the stages that run the network are over, their
jobs are given back before those of the other stages are asked for. Jobs that end too early are asked for anew.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import dask
from dask.utils import parse_bytes
from distributed import Client
from distributed.core import Status
from distributed.security import Security

from bigcell.cluster.certificates import Certificates
from bigcell.cluster.closed import ClosedScheduler
from bigcell.cluster.dask import QUIET, DaskExecutor, start_workers
from bigcell.cluster.site import Allocation, Site
from bigcell.core.errors import PlanError
from bigcell.core.processes.interrupts import shielded
from bigcell.engine.runtime.executors import THREAD_VARIABLES
from bigcell.engine.runtime.malloc import THRIFT
from bigcell.engine.tasks.stages import IMAGE_STAGES

Item = TypeVar("Item")
Result = TypeVar("Result")

DEATH_TIMEOUT = 60
"""Seconds after which a worker that finds no scheduler ends itself."""
KEEP = 5.0
"""Seconds between two looks at whether jobs have to be asked for in place of others."""
SECONDS_BETWEEN_LOOKS = 10.0
"""Seconds between two looks at whether the jobs are still there, while the first worker is waited for."""
CLUSTERS = {"slurm": "SLURMCluster", "lsf": "LSFCluster", "sge": "SGECluster", "pbs": "PBSCluster"}
GPUS = {"slurm": "--gres=gpu:{gpus}", "lsf": '-gpu "num={gpus}"', "sge": "-l gpu={gpus}"}
LOGS = {"slurm": '-o "{logs}/{name}-%j.log"', "lsf": '-o "{logs}/{name}-%J.log"', "sge": '-o "{logs}"'}
LOGS["pbs"] = '-j oe -o "{logs}"'
ACCOUNT = {"slurm": "account", "pbs": "account", "lsf": "project", "sge": "project"}

log = logging.getLogger(__name__)


class QueueExecutor:
    """Tasks in the jobs of a queue. `logs` is the folder of what their workers write, one file a job.

    `watched`: where dask's performance reports go, if they are wanted; the kind of jobs is added to the name.
    """

    by_stage = True
    """Jobs of one kind are given back before those of the other are asked for: a run cannot go back and forth."""

    def __init__(self, system: str, site: Site, logs: Path, watched: Path | None = None) -> None:
        self._system, self._site, self._logs, self._watched = system, site, logs, watched
        self._held: Allocation | None = None
        self._lent: DaskExecutor | None = None
        self._cluster: Any = None
        self._certificates: Certificates | None = None
        if not (site.is_loopback and site.encrypts):
            risk = (
                "encrypted and with certificates of this run"
                if site.encrypts
                else ("NOT encrypted: whoever reaches it can run code as you; leave out tls = false")
            )
            log.warning("listening on interface %s, %s", site.interface, risk)

    @property
    def workers(self) -> int:
        """Workers of the jobs that are held, once all of them run."""
        return self._held.jobs * self._held.processes if self._held else 1

    def begin(self, stage: str) -> None:
        """Hold the jobs that `stage` needs; those of other stages are ended first. Returns when a worker is there."""
        kind = "network" if stage in IMAGE_STAGES else "cpu"  # so jobs with GPUs are waited for once
        wanted: Allocation = getattr(self._site, kind)
        if wanted == self._held:
            return
        self.close()
        self._logs.mkdir(parents=True, exist_ok=True)
        if self._site.encrypts:
            self._certificates = Certificates.make(self._logs)
        security = self._certificates.security if self._certificates else None
        self._cluster = cluster = _open(
            self._system, job_arguments(self._system, self._site, wanted, kind, self._logs), security
        )
        self._held = wanted
        watched = self._watched.with_stem(f"{self._watched.stem}-{kind}") if self._watched else None
        self._lent = DaskExecutor(Client(cluster), (cluster,), expected=self.workers, watched=watched)
        self._submit(cluster, wanted)
        self._await_worker(cluster)
        cluster.loop.add_callback(_keep, cluster)

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        if self._lent is None:
            self.begin("")
        assert self._lent is not None
        yield from self._lent.map(function, items)

    def close(self) -> None:
        """End the jobs."""
        lent, self._lent, self._held = self._lent, None, None
        if self._cluster is not None:
            _forget_unsubmitted(self._cluster)
            (lent or self._cluster).close()
            self._cluster = None
        if self._certificates is not None:
            self._certificates.remove()
            self._certificates = None

    def _submit(self, cluster: Any, wanted: Allocation) -> None:
        try:
            start_workers(cluster, [cluster.new_spec] * wanted.jobs)
        except (RuntimeError, OSError, ValueError) as error:
            said = " ".join(str(error).partition("stderr:")[2].split()) or str(error)
            raise PlanError(
                f"the queue took no job: {said}; mend the site file and go on with `bigcell resume`"
            ) from error

    def _await_worker(self, cluster: Any) -> None:
        """Wait until one of the jobs has begun."""
        assert self._lent is not None
        begun = looked = time.monotonic()
        while not self._lent.present:
            time.sleep(0.2)
            now = time.monotonic()
            if now - begun > self._site.wait * 3600:
                raise PlanError(
                    f"no job began within {self._site.wait:g} hours (wait in the site file); go on later with "
                    "`bigcell resume`"
                )
            if now - looked > SECONDS_BETWEEN_LOOKS:
                looked = now
                if not self._lent.present and not _any_queued(self._system, cluster):
                    raise PlanError(f"the jobs ended before a worker of theirs got through{_last_words(self._logs)}")


def job_arguments(system: str, site: Site, wanted: Allocation, kind: str, logs: Path) -> dict[str, Any]:
    """What dask-jobqueue is to make of an allocation. One task at a time in a worker, which has all its cores."""
    name = f"bigcell-{kind}"
    directives = [LOGS[system].format(logs=logs, name=name), *wanted.own_requests(), *wanted.directives]
    asking = wanted.gpu_directive or GPUS.get(system)
    if wanted.gpus and asking:
        directives.insert(0, asking.replace("{gpus}", str(wanted.gpus)))
    extra = ["--nthreads", "1", "--no-dashboard", "--worker-class", "bigcell.cluster.closed.ClosedWorker"]
    if wanted.gpus > 1:
        extra += ["--preload", "bigcell.cluster.preload"]
    given = {
        "job_name": name,
        "cores": wanted.cores,
        "memory": wanted.memory,
        "processes": wanted.processes,
        "walltime": _walltime(system, wanted.seconds),
        "queue": wanted.queue or None,
        ACCOUNT[system]: wanted.account or None,
        "python": shlex.quote(site.python or sys.executable),
        "job_script_prologue": [*_exports(wanted), *wanted.prologue, *_scratch(site)],
        "job_extra_directives": directives,
        "worker_extra_args": extra,
        "death_timeout": DEATH_TIMEOUT,
    }
    if system == "pbs":  # one line for all of it: PBS refuses others beside a "select"
        gpus = f":ngpus={wanted.gpus}" if wanted.gpus and not wanted.gpu_directive else ""
        memory = parse_bytes(wanted.memory) >> 20
        given["resource_spec"] = f"select=1:ncpus={wanted.cores}:mem={memory}MB{gpus}"
    network = {
        "interface": site.interface,
        "scheduler_options": {"interface": site.interface},
        "protocol": "tls://" if site.encrypts else "tcp://",
    }
    return {**given, **network}


def _walltime(system: str, seconds: int) -> str:
    """A time as the queue wants it: LSF knows no seconds.

    >>> _walltime("slurm", 129600), _walltime("lsf", 5400)
    ('36:00:00', '01:30')
    """
    minutes, rest = divmod(seconds, 60)
    clock = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return clock if system == "lsf" else f"{clock}:{rest:02d}"


def _exports(wanted: Allocation) -> list[str]:
    """The environment of workers, as lines of the job's script."""
    threads = dict.fromkeys(THREAD_VARIABLES, str(max(1, wanted.cores // wanted.processes)))
    quiet = {"DASK_" + k.upper().replace(".", "__").replace("-", "_"): str(v) for k, v in QUIET.items()}
    return [f"export {name}={value}" for name, value in {**THRIFT, **threads, **quiet}.items()]


def _scratch(site: Site) -> list[str]:
    """A folder of the job's owner alone for what dask keeps and puts into Python's path, away when the job ends."""
    below = shlex.quote(site.local_directory) if site.local_directory else '"${TMPDIR:-/tmp}"'
    return [
        f"mkdir -p -- {below}",
        f"DASK_TEMPORARY_DIRECTORY=$(mktemp -d -- {below}/bigcell-XXXXXXXX) || exit 1",
        "export DASK_TEMPORARY_DIRECTORY",
        "trap 'rm -rf -- \"$DASK_TEMPORARY_DIRECTORY\"' EXIT",
    ]


def _open(system: str, arguments: dict[str, Any], security: Security | None) -> Any:
    before = signal.getsignal(signal.SIGINT)
    import dask_jobqueue  # asked for in `read_site`

    if signal.getsignal(signal.SIGINT) is not before:
        signal.signal(signal.SIGINT, before)  # its import makes Ctrl-C end the process at once, without a word
    with dask.config.set(QUIET), shielded():  # its thread submits the jobs, and cancels them
        return getattr(dask_jobqueue, CLUSTERS[system])(**arguments, security=security, scheduler_cls=ClosedScheduler)


async def _keep(cluster: Any) -> None:
    """Ask for jobs in place of those that ended, for example at the end of their time, as long as `cluster` is used."""
    while cluster.status == Status.running:
        await asyncio.sleep(KEEP)
        try:
            await cluster
        except (RuntimeError, OSError) as error:
            log.warning("a job could not be submitted again, trying once more in %g s: %s", KEEP, error)
            _forget_unsubmitted(cluster)


def _forget_unsubmitted(cluster: Any) -> None:
    """Jobs that the queue did not take are none, so that nothing waits for them to end."""
    for name in [name for name, job in cluster.workers.items() if job.job_id is None]:
        cluster.workers.pop(name).status = Status.failed


def _any_queued(system: str, cluster: Any) -> bool:
    """Whether the queue still knows one of the jobs. Only SLURM is asked; elsewhere `wait` is the limit."""
    jobs = [str(job.job_id) for job in cluster.workers.values() if job.job_id]
    if system != "slurm" or not jobs:
        return True
    asked = subprocess.run(
        ["squeue", "-h", "-o", "%i", "-j", ",".join(jobs)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if asked.returncode and "Invalid job id" not in asked.stderr:
        return True  # the queue itself is away for a while
    return bool(asked.stdout.strip())


def _last_words(logs: Path) -> str:
    """The last line of the newest log, and where it is."""
    files = sorted(logs.glob("*.log"), key=lambda p: p.stat().st_mtime)
    lines = files[-1].read_text(errors="replace").split("\n") if files else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {last[:300]!r} (see {files[-1]})" if last else f"; see {logs}"
