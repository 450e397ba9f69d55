"""A site: how its queue is asked for machines, read from a TOML file and checked at once, before any work."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tomllib
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
from dask.utils import parse_bytes
from platformdirs import user_config_path

from bigcell.core.errors import InputError, PlanError, SettingsError
from bigcell.core.paths import local_path
from bigcell.core.settings import from_dict

SUBMIT = {"slurm": "sbatch", "lsf": "bsub", "sge": "qsub", "pbs": "qsub"}
"""The queues there are, and the command that each takes jobs with."""
VARIABLE = "BIGCELL_CLUSTER"
"""Names the site file where ``--cluster`` does not."""
WALLTIME = re.compile(r"([0-9]{1,4}-)?[0-9]{1,4}(:[0-9]{2}){1,2}|[0-9]{1,7}")
MAX_COUNT = 100_000
"""Of anything that is counted in a site file."""
MOST_BYTES = 1e15
SHOWN = 80
"""Letters of what was found that are repeated in a message."""


@dataclass(frozen=True)
class Allocation:
    """One job of the queue, and how many there may be at a time.

    `cores` and `memory` are of the whole job, which runs `workers` processes: by default one for each GPU, or one.
    `directives` are further lines of the job's header, without their ``#SBATCH``; `prologue` are commands that the job
    runs before its workers. `gpu_directive` asks for GPUs where the site has its own way, as in ``--gpus={gpus}``;
    `cores_directive` and `memory_directive` do it for cores and memory where the queue has no way of its own (SGE), as
    in ``-pe smp {cores}`` and ``-l h_vmem={memory_per_core}``.

    >>> Allocation(cores=16, memory="120GB", gpus=2).processes
    2
    """

    queue: str = ""
    account: str = ""
    cores: int = 4
    memory: str = "16GB"
    walltime: str = "04:00:00"
    gpus: int = 0
    jobs: int = 1
    workers: int = 0
    gpu_directive: str = ""
    cores_directive: str = ""
    memory_directive: str = ""
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("queue", "account", "gpu_directive", "cores_directive", "memory_directive"):
            _check_line(name, getattr(self, name))
        for name in ("directives", "prologue"):
            _check_lines(name, getattr(self, name))
        for name, least in (("cores", 1), ("jobs", 1), ("gpus", 0), ("workers", 0)):
            _check_count(name, getattr(self, name), least)
        _check_memory(self.memory)
        if not isinstance(self.walltime, str) or not WALLTIME.fullmatch(self.walltime):
            raise SettingsError(
                f"walltime {_shown(self.walltime)}: wanted hours, as in '04:00:00' or '1-12:00:00', quoted"
            )
        if self.gpus and self.workers not in (0, self.gpus):
            raise SettingsError(
                f"{self.workers} workers for {self.gpus} GPUs of a job: wanted one for each; leave out workers"
            )
        if self.processes > self.cores:
            raise SettingsError(f"{self.processes} workers on {self.cores} cores of a job: wanted a core for each")

    @property
    def processes(self) -> int:
        """Workers of a job."""
        return self.workers or max(1, self.gpus)

    @property
    def seconds(self) -> int:
        """The walltime: days-hours:minutes:seconds, hours:minutes, or minutes alone.

        >>> [Allocation(walltime=text).seconds for text in ("1-12:00:00", "01:30", "90")]
        [129600, 5400, 5400]
        """
        days, _, clock = self.walltime.rpartition("-")
        parts = [int(part) for part in clock.split(":")]
        hours, minutes, seconds = ([0, *parts] if len(parts) == 1 else parts) + [0] * (3 - max(2, len(parts)))
        return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds

    @property
    def worker_bytes(self) -> int:
        """Memory of one worker."""
        return int(parse_bytes(self.memory)) // self.processes

    def own_requests(self) -> list[str]:
        """Lines of the header that ask for cores and memory in the site's own way. Memory is in whole megabytes.

        >>> Allocation(cores=8, memory="16GB", memory_directive="-l h_vmem={memory_per_core}").own_requests()
        ['-l h_vmem=1907M']
        """
        megabytes = int(parse_bytes(self.memory)) >> 20
        asked = {"cores": str(self.cores), "memory": f"{megabytes}M", "memory_per_core": f"{megabytes // self.cores}M"}
        lines = [line for line in (self.cores_directive, self.memory_directive) if line]
        for word, value in asked.items():
            lines = [line.replace(f"{{{word}}}", value) for line in lines]
        return lines


@dataclass(frozen=True)
class Site:
    """What jobs of the stages that run the network ask for, and those of all others.

    `interface`: the network that jobs reach this machine through, as ``ip addr`` names it. Whoever reaches it could run
    code as you, so all that goes over it is encrypted, with certificates made for the run, unless `tls` is false; on
    loopback too, which every account of this machine reaches. `wait`: hours until the first worker has to be there.
    `python`: the interpreter of the workers, this one by default. `local_directory`: a folder on each node's own disk.
    """

    interface: str = ""
    tls: bool | None = None
    wait: float = 24.0
    python: str = ""
    local_directory: str = ""
    network: Allocation = field(default_factory=Allocation)
    cpu: Allocation = field(default_factory=Allocation)

    def __post_init__(self) -> None:
        known = _addresses()
        if not isinstance(self.interface, str) or self.interface not in known:
            said = f"interface {_shown(self.interface)} is not here" if self.interface else "it names no interface"
            raise SettingsError(
                f"{said}: wanted the network that jobs reach this machine through, one of {', '.join(known)} "
                "(loopback only where jobs run on this machine)"
            )
        for name in ("network", "cpu"):
            if not isinstance(getattr(self, name), Allocation):
                raise SettingsError(
                    f"{name} {_shown(getattr(self, name))}: wanted a table of what its jobs ask for, [{name}]"
                )
        if self.tls is not None and not isinstance(self.tls, bool):
            raise SettingsError(f"tls {_shown(self.tls)}: wanted true or false")
        if isinstance(self.wait, bool) or not isinstance(self.wait, int | float) or not 0 < self.wait < 1e6:
            raise SettingsError(f"wait {_shown(self.wait)}: wanted hours until a worker has to be there, as in 24")
        for name in ("python", "local_directory"):
            _check_line(name, getattr(self, name))

    @property
    def is_loopback(self) -> bool:
        return _addresses()[self.interface].startswith("127.")

    @property
    def encrypts(self) -> bool:
        return self.tls is not False


def read_site(cluster: str) -> tuple[str, Site]:
    """The queue and the site that ``slurm:site.toml`` stands for; for ``slurm`` alone, the file is looked for.

    First in the variable ``BIGCELL_CLUSTER``, then at ``bigcell/cluster.toml`` in the user's folder of settings.
    Refuses a site that could not submit a job from here.
    """
    system, _, named = cluster.partition(":")
    try:
        path = local_path(named or os.environ.get(VARIABLE) or user_config_path("bigcell") / "cluster.toml")
    except InputError as error:
        raise SettingsError(f"the site file cannot be read: {error}") from error
    site = _load(path, system)
    if system == "sge":
        for table, wanted in (("network", site.network), ("cpu", site.cpu)):
            _check_asks(path, table, wanted)
    if find_spec("dask_jobqueue") is None:
        raise SettingsError(f"--cluster {system} needs dask-jobqueue: pip install 'bigcell[hpc]'")
    if shutil.which(SUBMIT[system]) is None:
        raise SettingsError(
            f"--cluster {system} submits jobs with {SUBMIT[system]}, which is not here: start bigcell on a machine "
            "that can submit jobs, or choose --cluster local"
        )
    return system, site


def _check_asks(path: Path, table: str, wanted: Allocation) -> None:
    """Refuse a table for SGE that does not say how its cores and memory are asked for: each site has its own names."""
    needed = [("memory_directive", "mem", "-l h_vmem={memory_per_core}")]
    if wanted.cores > 1:
        needed.append(("cores_directive", "-pe", "-pe smp {cores}"))
    for name, word, example in needed:
        if not getattr(wanted, name) and not any(word in line for line in wanted.directives):
            raise SettingsError(
                f"site file {path}: [{table}] says not how SGE is asked for {name.partition('_')[0]}, which every site "
                f'does in its own way; say it, as in {name} = "{example}"'
            )


def check_memory(cluster: str, needed: int, *, network: bool) -> None:
    """Refuse a plan whose blocks need more bytes than a worker of the site's jobs has."""
    _, site = read_site(cluster)
    table, wanted = ("network", site.network) if network else ("cpu", site.cpu)
    if needed > wanted.worker_bytes:
        raise PlanError(
            f"a worker needs {needed / 1e9:.1f} GB for these blocks, jobs of [{table}] give it "
            f"{wanted.worker_bytes / 1e9:.1f}: raise memory in the site file, or use smaller blocks"
        )


def _addresses() -> dict[str, str]:
    """Interfaces of this machine, and their addresses."""
    found = psutil.net_if_addrs().items()
    return {name: a.address for name, addresses in found for a in addresses if a.family == socket.AF_INET}


def _load(path: Path, system: str) -> Site:
    try:
        values = tomllib.loads(path.expanduser().read_text())
    except FileNotFoundError as error:
        raise SettingsError(
            f"no site file at {path}: name one, as in --cluster {system}:site.toml, that says what jobs ask for"
        ) from error
    except (OSError, ValueError, RuntimeError) as error:  # no home of that user; a value within 1000 others
        raise SettingsError(f"the site file {path} cannot be read: {str(error)[:200]}") from error
    try:
        return _with_one_table(from_dict(Site, values), values)
    except (SettingsError, TypeError) as error:
        raise SettingsError(f"site file {path}: {error}") from error


def _with_one_table(site: Site, values: dict[str, Any]) -> Site:
    """`site`, in which one table stands for both if the other is not there."""
    tables = [name for name in ("network", "cpu") if isinstance(values.get(name), dict)]
    if not tables:
        raise SettingsError("it says not what jobs ask for: wanted the tables [network] and [cpu], or one for both")
    if len(tables) == 2:
        return site
    return replace(site, network=getattr(site, tables[0]), cpu=getattr(site, tables[0]))


def _shown(value: Any) -> str:
    """The beginning of what was found."""
    try:
        said = repr(value)
    except ValueError:
        return "of thousands of digits"
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}..."


def _check_line(name: str, text: Any) -> None:
    if not isinstance(text, str) or any(not letter.isprintable() and letter != "\t" for letter in text):
        raise SettingsError(f"{name} {_shown(text)}: wanted one line of text")


def _check_lines(name: str, lines: Any) -> None:
    if not isinstance(lines, tuple):
        raise SettingsError(f"{name} {_shown(lines)}: wanted a list of lines, as in ['...']")
    for line in lines:
        _check_line(name, line)


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_COUNT:
        raise SettingsError(f"{name} {_shown(value)}: wanted a whole number, {least} or more, up to {MAX_COUNT}")


def _check_memory(text: Any) -> None:
    try:
        enough = isinstance(text, str) and 1e6 <= parse_bytes(text) <= MOST_BYTES
    except (ValueError, OverflowError):
        enough = False
    if not enough:
        raise SettingsError(f"memory {_shown(text)}: wanted the memory of a job, as in '64GB'")
