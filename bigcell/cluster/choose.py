"""The executor that a word stands for."""

from __future__ import annotations

from pathlib import Path

from bigcell.core.errors import SettingsError
from bigcell.engine.runtime.executors import Executor, ProcessExecutor, SerialExecutor

HERE = ("serial", "processes", "local")
QUEUES = ("slurm", "lsf", "sge", "pbs")


def check_cluster(cluster: str | None) -> None:
    """Refuse, before any work, a word that stands for no executor, or a queue that could not be asked from here."""
    if cluster is None or cluster in HERE:
        return
    if is_queue(cluster):
        from bigcell.cluster.site import read_site

        read_site(cluster)
    elif "://" not in cluster:
        raise SettingsError(
            f"cluster {cluster!r}: wanted serial, processes, local, {', '.join(QUEUES)} (with a site file, as in "
            "slurm:site.toml) or the address of a dask scheduler"
        )
    else:
        from bigcell.cluster.elsewhere import check_address

        check_address(cluster)


def check_queue(cluster: str, needed: int, *, network: bool) -> None:
    """Refuse blocks that need more bytes than a worker in a job of the queue `cluster` has."""
    if is_queue(cluster):
        from bigcell.cluster.site import check_memory

        check_memory(cluster, needed, network=network)


def is_queue(cluster: str) -> bool:
    """Whether `cluster` names a batch queue.

    >>> is_queue("slurm"), is_queue("slurm:site.toml"), is_queue("tcp://pbs:8786")
    (True, True, False)
    """
    return cluster.partition(":")[0] in QUEUES


def check_watched(cluster: str | None, path: str | Path | None) -> Path | None:
    """Where dask's performance report goes, if it is wanted. Refused where no dask works, or it could not be made."""
    if path is None:
        return None
    if cluster in ("serial", "processes"):
        raise SettingsError(f"cluster {cluster!r} is not dask's, so there is no performance report: choose local")
    from bigcell.cluster.watching import check_watching

    return check_watching(path)


def choose_executor(cluster: str, workers: int, logs: Path | None = None, watched: Path | None = None) -> Executor:
    """`cluster`: serial, processes, local (dask on this machine), a queue, or the address of a running dask scheduler.

    `workers` is of this machine; how many jobs a queue is asked for stands in its site file. Workers of a queue write
    their logs to the folder `logs`. `watched`: where dask's performance report goes (see `check_watched`); of a queue
    there is one of the network's jobs and one of the others.
    """
    if cluster == "serial":
        return SerialExecutor()
    if cluster == "processes":
        return ProcessExecutor(workers)
    if is_queue(cluster):
        from bigcell.cluster.queue import QueueExecutor
        from bigcell.cluster.site import read_site

        return QueueExecutor(*read_site(cluster), logs or Path("logs").absolute(), watched)
    check_cluster(cluster)
    from bigcell.cluster.dask import DaskExecutor  # slow to import, and not needed for the others

    return DaskExecutor.local(workers, watched=watched) if cluster == "local" else DaskExecutor.at(cluster, watched)
