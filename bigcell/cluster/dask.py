"""The executor on dask: processes of this machine, or any running scheduler.

Dask carries only block numbers and results of a few hundred bytes; voxels go through files. A few tasks per worker are
in flight at any time, so the driver's memory does not grow with the volume, and there is no graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import dask
from distributed import Client, LocalCluster, as_completed

from bigcell.core.errors import BlockError, PlanError
from bigcell.engine.executors import THRIFT, thread_environment

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT = 3
"""Tasks per worker that are submitted ahead."""

QUIET = {
    "distributed.worker.memory.target": False,  # nothing is kept in workers, so there is nothing to spill
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.scheduler.allowed-failures": 3,
    "distributed.worker.profile.enabled": False,  # profiles and logs grow as long as a run does
    "distributed.admin.log-length": 100,
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.system-monitor.log-length": 60,
}


class DaskExecutor:
    """Tasks on the workers of a dask scheduler. Each worker runs one at a time."""

    def __init__(self, client: Client, owned: tuple[Any, ...] = ()) -> None:
        self._client, self._owned = client, owned

    @classmethod
    def local(cls, workers: int, memory_limit: int = 0) -> DaskExecutor:
        """`workers` processes that share this machine's cores, each restarted if it passes `memory_limit` (0: none)."""
        # "pre-spawn" is set in this process and stays: only what does no harm here may be in it
        environment = {
            "distributed.nanny.pre-spawn-environ": THRIFT,
            "distributed.nanny.environ": thread_environment(workers),
        }
        with dask.config.set({**QUIET, **environment}):
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=memory_limit or 0,
                dashboard_address="127.0.0.1:0",
                silence_logs=40,
            )
            return cls(Client(cluster), (cluster,))

    @classmethod
    def at(cls, address: str) -> DaskExecutor:
        """The workers of the scheduler at `address` (``tcp://host:port``). They must see the same files."""
        try:
            return cls(Client(address, timeout="10s"))
        except OSError as error:
            raise PlanError(f"no dask scheduler answers at {address}; start one, or use --cluster local") from error

    @property
    def workers(self) -> int:
        return max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        source = iter(items)
        running = as_completed([], with_results=False)
        count = 0
        for item in islice(source, IN_FLIGHT * self.workers):
            running.add(self._submit(function, item))
            count += 1
        while count:
            future = next(running)
            count -= 1
            yield self._result(future)
            for item in islice(source, 1):
                running.add(self._submit(function, item))
                count += 1

    def close(self) -> None:
        """Leave the scheduler; end the workers that were started here."""
        self._client.close()
        for part in self._owned:
            part.close()

    def _submit(self, function: Callable[[Item], Result], item: Item) -> Any:
        return self._client.submit(function, item, pure=False, retries=0)

    def _result(self, future: Any) -> Any:
        try:
            return future.result()
        except Exception as error:
            if type(error).__name__ in ("KilledWorker", "CancelledError"):
                raise BlockError(
                    "a block killed its worker three times, often for lack of memory: use smaller blocks or fewer "
                    "workers, then `bigcell resume`"
                ) from error
            raise
        finally:
            future.release()
