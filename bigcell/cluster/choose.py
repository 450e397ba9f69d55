"""The executor that a word stands for."""

from __future__ import annotations

from bigcell.core.errors import SettingsError
from bigcell.engine.executors import Executor, ProcessExecutor, SerialExecutor


def choose_executor(cluster: str, workers: int) -> Executor:
    """`cluster`: serial, processes, local (dask on this machine) or the address of a running dask scheduler."""
    if cluster == "serial":
        return SerialExecutor()
    if cluster == "processes":
        return ProcessExecutor(workers)
    if cluster == "local" or "://" in cluster:
        from bigcell.cluster.dask import DaskExecutor  # slow to import, and not needed for the others

        return DaskExecutor.local(workers) if cluster == "local" else DaskExecutor.at(cluster)
    raise SettingsError(f"cluster {cluster!r}: wanted serial, processes, local or the address of a dask scheduler")
