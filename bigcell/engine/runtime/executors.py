"""Who runs the tasks: one after the other here, or in several processes of this machine. Dask is in `cluster`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import parent_process
from threading import Thread
from typing import Any, Protocol, TypeVar

from bigcell.core.errors import BlockError, SettingsError
from bigcell.core.processes.interrupts import shielded
from bigcell.core.processes.sending import dumps
from bigcell.core.processes.spawning import Spawning
from bigcell.engine.runtime.batching import Done, PickledFunction, TaskBatcher
from bigcell.engine.runtime.machine import cores
from bigcell.engine.runtime.malloc import THRIFT, hold_little

Item = TypeVar("Item")
Result = TypeVar("Result")

THREAD_VARIABLES = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

MOST_DEATHS = 50
"""Workers of one map that may die; more are no accident."""


class WorkersLostError(BlockError):
    """Workers died. `items` are those that they had in hand, done or not; all others of the map are done."""

    def __init__(self, items: Sequence[Any]) -> None:
        super().__init__("a worker was killed, often for lack of memory: use smaller blocks or fewer workers")
        self.items = tuple(items)


class Executor(Protocol):
    """Runs a function over items in any order, at most a few items ahead. The results do not depend on which one.

    Where workers die the others go on; a WorkersLostError at the end tells which items they had.
    """

    @property
    def workers(self) -> int: ...
    def begin(self, stage: str) -> None:
        """Told before the items of a stage: what it needs (a GPU, say) may be another thing than the one before."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class SerialExecutor:
    """One task after the other, in this process."""

    workers: int = 1

    def begin(self, stage: str) -> None:
        """Every stage is done here."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        for item in items:
            yield function(item)

    def close(self) -> None:
        """Nothing to give back."""


def thread_environment(workers: int) -> dict[str, str]:
    """Environment of a worker that shares this machine with others: its share of the cores."""
    share = max(1, cores() // workers)
    return dict.fromkeys(THREAD_VARIABLES, str(share))


def _start(environment: dict[str, str]) -> None:
    share = _told(environment)
    os.environ.update({**THRIFT, **share})  # before numba or torch are imported in this process
    hold_little()
    Thread(target=_end_with_parent, daemon=True).start()


def _told(environment: dict[str, str]) -> dict[str, str]:
    """What of `environment` numba and torch will read. What they have read already they are told.

    A fresh process imports the user's script, which may have imported them. Of numba's variable nothing may be heard
    then: it stops at its next compilation where that has changed and its threads are running.
    """
    numba, torch = sys.modules.get("numba"), sys.modules.get("torch")
    name = THREAD_VARIABLES[0]
    if torch is not None:
        torch.set_num_threads(int(environment[name]))
    if numba is None:
        return environment
    numba.set_num_threads(min(int(environment[name]), numba.config.NUMBA_NUM_THREADS))
    return {key: value for key, value in environment.items() if key != name}


def _end_with_parent() -> None:
    """A process whose driver was killed would go on with what it has, while another driver takes the run up."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@dataclass
class ProcessExecutor:
    """Tasks in `workers` fresh processes of this machine."""

    workers: int
    _pool: ProcessPoolExecutor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise SettingsError(f"{self.workers} workers: wanted at least 1")

    def begin(self, stage: str) -> None:
        """Every stage is done by the same processes."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        carried, bunches = PickledFunction.of(function, dumps), TaskBatcher(items, self.workers)
        source, lost, deaths = iter(bunches), list[Item](), 0
        pending: dict[Future[Done[Result]], tuple[Item, ...]] = {}
        try:
            while True:
                for bunch in islice(source, 2 * self.workers - len(pending)):
                    pending[self._submit(carried, bunch)] = bunch
                if not pending:
                    break
                ready = wait(pending, return_when=FIRST_COMPLETED).done
                dead = {future for future in ready if isinstance(future.exception(), BrokenProcessPool)}
                results = [future.result() for future in ready - dead]
                if dead:  # the other processes were ended with the one that died, and all have lost what they had
                    lost += [item for future, bunch in pending.items() if future not in ready - dead for item in bunch]
                    deaths += 1
                    self.close()
                pending = {} if dead else {f: bunch for f, bunch in pending.items() if f not in ready}
                for done in results:
                    bunches.learn(done)
                    yield from done.results
                for done in results:
                    done.check()
                if deaths > MOST_DEATHS:
                    raise BlockError(
                        f"{deaths} workers were killed, often for lack of memory: use smaller blocks or fewer workers"
                    )
        finally:
            for future in pending:
                future.cancel()
        if lost:
            raise WorkersLostError(lost)

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _submit(self, carried: PickledFunction, bunch: tuple[Item, ...]) -> Future[Any]:
        """A future of the bunch; a failed one where the processes are found dead."""
        try:
            if self._pool is None:
                with shielded():
                    share = (thread_environment(self.workers),)
                    self._pool = ProcessPoolExecutor(self.workers, Spawning(), initializer=_start, initargs=share)
            return self._pool.submit(carried, bunch)
        except BrokenProcessPool as error:
            failed: Future[Any] = Future()
            failed.set_exception(error)
            return failed
