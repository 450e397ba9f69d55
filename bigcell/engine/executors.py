"""Who runs the tasks: one after the other here, or in several processes of this machine. Dask is in `cluster`."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

from bigcell.core.errors import BlockError, SettingsError
from bigcell.engine.bunches import Bunches, Carried
from bigcell.engine.machine import cores

Item = TypeVar("Item")
Result = TypeVar("Result")

THREAD_VARIABLES = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

THRIFT = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""For a worker's environment before it starts. glibc: one heap for the many threads that decode chunks, and free
memory goes back at once."""


class Executor(Protocol):
    """Runs a function over items in any order, at most a few items ahead. The results do not depend on which one."""

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
    os.environ.update({**THRIFT, **environment})  # before numba or torch are imported in this process
    hold_little()


def hold_little() -> bool:
    """What `THRIFT` does, for a process that has started already. False where the C library is not glibc."""
    arena_max, trim_threshold = -8, -1  # malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(arena_max, 2) and mallopt(trim_threshold, 65536))


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
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers, get_context("spawn"), initializer=_start, initargs=(thread_environment(self.workers),)
            )
        carried, bunches = Carried.of(function), Bunches(items, self.workers)
        source = iter(bunches)
        pending = {self._pool.submit(carried, bunch) for bunch in islice(source, 2 * self.workers)}
        try:
            while pending:
                ready, pending = wait(pending, return_when=FIRST_COMPLETED)
                results = [_result(future) for future in ready]
                for done in results:
                    bunches.learn(done)
                pending |= {self._pool.submit(carried, bunch) for bunch in islice(source, len(ready))}
                for done in results:
                    yield from done.results
                for done in results:
                    done.check()
        finally:
            for future in pending:
                future.cancel()

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _result(future: Any) -> Any:
    try:
        return future.result()
    except (BrokenPipeError, EOFError) as error:
        raise BlockError("a worker process died; its block can be tried again with `bigcell resume`") from error
    except RuntimeError as error:
        if type(error).__name__ == "BrokenProcessPool":
            raise BlockError(
                "a worker process was killed, often for lack of memory: use smaller blocks or fewer workers, "
                "then `bigcell resume`"
            ) from error
        raise
