"""The executor on dask: processes of this machine, or any running scheduler.

Dask carries only block numbers and results of a few hundred bytes; voxels go through files. A few tasks per worker are
in flight at any time, so the driver's memory does not grow with the volume, and there is no graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import dask
from distributed import Client, Nanny, as_completed
from distributed.protocol.pickle import dumps

from bigcell.cluster.closed import LocalWorkers
from bigcell.cluster.devices import VISIBLE, visible_gpus
from bigcell.cluster.elsewhere import warn_if_open
from bigcell.cluster.watching import watch
from bigcell.core.errors import BlockError, PlanError
from bigcell.core.processes.interrupts import shielded
from bigcell.engine.runtime.batching import Done, PickledFunction, TaskBatcher
from bigcell.engine.runtime.executors import MOST_DEATHS, WorkersLostError, thread_environment
from bigcell.engine.runtime.malloc import THRIFT
from bigcell.engine.tasks.stages import NETWORK_STAGES

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT = 3
"""Tasks per worker that are submitted ahead."""

GPU = "GPU"
"""What workers with a GPU offer, and the network asks for."""

QUIET = {
    "distributed.worker.memory.target": False,  # nothing is kept in workers, so there is nothing to spill
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.scheduler.allowed-failures": 0,  # what a dead worker had in hand comes back, to be done one by one
    "distributed.worker.profile.enabled": False,  # profiles and logs grow as long as a run does
    "distributed.admin.log-length": 100,
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.system-monitor.log-length": 60,
    "distributed.scheduler.http.routes": [],  # pages that nobody could ask for are not loaded
    "distributed.worker.http.routes": [],
}


class DaskExecutor:
    """Tasks on the workers of a dask scheduler. Each worker runs one at a time.

    `expected`: workers that will come, if not all are there yet. `gpus`: those that have a GPU, if only some have.
    `watched`: where dask's performance report goes, if it is wanted.
    """

    def __init__(
        self,
        client: Client,
        owned: tuple[Any, ...] = (),
        *,
        expected: int = 0,
        gpus: int = 0,
        watched: Path | None = None,
    ) -> None:
        self._client, self._owned, self._expected, self._gpus = client, owned, expected, gpus
        self._needs: dict[str, float] | None = None
        self._end_watch = watch(client, watched) if watched is not None else None

    @classmethod
    def local(
        cls, workers: int, memory_limit: int = 0, gpus: Sequence[str] | None = None, watched: Path | None = None
    ) -> DaskExecutor:
        """`workers` processes that share this machine's cores, each restarted if it passes `memory_limit` (0: none).

        Each of the first ones has one of `gpus` for itself (None: those there are) and runs the network; others see
        none.
        """
        # "pre-spawn" is set in this process and stays: only what does no harm here may be in it
        environment = {
            "distributed.nanny.pre-spawn-environ": {**THRIFT, "DASK_LOGGING__DISTRIBUTED": "error"},
            "distributed.nanny.environ": thread_environment(workers),
        }
        with dask.config.set({**QUIET, **environment}):
            devices = tuple(visible_gpus() if gpus is None else gpus)[:workers]
            with shielded():  # its thread starts the workers, now and later
                cluster = LocalWorkers(memory_limit)
            try:
                start_workers(cluster, [_with_device(cluster.new_spec, devices, i) for i in range(workers)])
                return cls(Client(cluster), (cluster,), gpus=len(devices), watched=watched)
            except BaseException:
                cluster.close()
                raise

    @classmethod
    def at(cls, address: str, watched: Path | None = None) -> DaskExecutor:
        """The workers of the scheduler at `address` (``tcp://host:port``). They must see the same files.

        ``tls://host:port`` with the certificates that dask's own settings name.
        """
        warn_if_open(address)
        try:
            return cls(Client(address, timeout="10s"), watched=watched)
        except OSError as error:
            raise PlanError(f"no dask scheduler answers at {address}; start one, or use --cluster local") from error

    @property
    def present(self) -> int:
        """Workers that are there now."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    @property
    def workers(self) -> int:
        return max(1, self._expected, self.present)

    def begin(self, stage: str) -> None:
        """Where some workers have a GPU, only they run the network."""
        self._needs = {GPU: 1} if self._gpus and stage in NETWORK_STAGES else None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        workers = self.workers
        carried, bunches = PickledFunction.of(function, dumps), TaskBatcher(items, workers)
        source, running = iter(bunches), as_completed([], with_results=False)
        held: dict[str, tuple[Item, ...]] = {}
        lost, deaths = list[Item](), 0
        self._submit_some(carried, islice(source, IN_FLIGHT * workers), running, held)
        while held:
            future = next(running)
            bunch, done = held.pop(future.key), self._result(future)
            self._submit_some(carried, islice(source, 1), running, held)
            if done is None:
                lost += bunch
                deaths += 1
                if deaths > IN_FLIGHT * MOST_DEATHS:
                    raise BlockError("workers are killed again and again, often for lack of memory: use smaller blocks")
                continue
            bunches.learn(done)
            yield from done.results
            done.check()
        if lost:
            raise WorkersLostError(lost)

    def close(self) -> None:
        """Leave the scheduler; end the workers that were started here."""
        end, self._end_watch = self._end_watch, None
        if end is not None:
            end()
        self._client.close()
        for part in self._owned:
            part.close()

    def _submit_some(
        self, carried: PickledFunction, bunches: Iterable[tuple[Any, ...]], running: Any, held: Any
    ) -> None:
        for bunch in bunches:
            future = self._client.submit(carried, bunch, pure=False, retries=0, resources=self._needs)
            held[future.key] = bunch
            running.add(future)

    def _result(self, future: Any) -> Done[Any] | None:
        """What came of a bunch; None if its worker died."""
        try:
            done: Done[Any] = future.result()
            return done
        except Exception as error:
            if type(error).__name__ == "KilledWorker":
                return None
            if isinstance(error, CancelledError | OSError):
                raise BlockError("the dask scheduler is gone, or has dropped the tasks of this run") from error
            raise
        finally:
            future.release()


def start_workers(cluster: Any, specs: Sequence[dict[str, Any]]) -> None:
    """Start a worker (or a job of them) of `cluster` for each of `specs`. Raises what the start of one raised."""
    for spec in specs:
        (name,) = cluster.new_worker_spec()
        cluster.worker_spec[name] = spec
    try:
        cluster.sync(_started, cluster)
    except KeyboardInterrupt:
        with suppress(Exception):
            cluster.sync(_started, cluster)  # what is half way into being cannot be closed
        raise


async def _started(cluster: Any) -> None:
    await cluster


def _with_device(spec: dict[str, Any], devices: Sequence[str], number: int) -> dict[str, Any]:
    """`spec` of the worker with that number; unchanged on a machine without GPUs."""
    if not devices:
        return spec
    own = devices[number] if number < len(devices) else ""
    options = {**spec["options"], "env": {VISIBLE: own}, "resources": {GPU: 1} if own else {}}
    return {"cls": Nanny, "options": options}
