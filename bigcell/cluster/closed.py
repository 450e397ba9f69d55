"""Dask's scheduler and workers, closed to all but the run that starts them.

Whoever reaches a scheduler or a worker of dask can run code as its owner, and every account of a machine reaches its
loopback. So all of them ask for a certificate of the run, none of them serves pages over http, and their folders of
scratch, which dask puts into Python's path, are for this user alone.
"""

from __future__ import annotations

from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import Any

from distributed import Nanny, Scheduler, SpecCluster, Worker
from distributed.security import Security

from bigcell.core.processes.script import script_left_out

PREFIX = "bigcell-"
QUIETLY = 40  # errors only
TWO_DOORS = {"protocol": ["tls", "inproc"], "host": ["127.0.0.1", None]}
"""For workers, and for the client in the scheduler's own process: that one goes through memory and encrypts nothing."""


class _NoPages:
    """For a server of dask: it speaks dask's own protocol and no other."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Nothing listens: dask's pages know no certificates, and tell whoever asks what runs here."""


class ClosedScheduler(_NoPages, Scheduler):
    """A scheduler without pages."""

    def __init__(self, **options: Any) -> None:
        self._scratch = TemporaryDirectory(prefix=PREFIX)  # made for its owner alone
        super().__init__(**{**options, "local_directory": self._scratch.name, "dashboard": False})

    async def close(self, timeout: float | None = None, reason: str = "unknown") -> None:
        try:
            await super().close(timeout, reason)
        finally:
            self._scratch.cleanup()


class ClosedWorker(_NoPages, Worker):
    """A worker without pages."""


class LocalWorkers(SpecCluster):
    """A scheduler in this process, and workers in others of this machine (none yet), each with one task at a time.

    Their certificate is handed down in memory; it lies on disk for an instant, where OpenSSL reads it, and then in a
    folder of this user alone.
    """

    def __init__(self, memory_limit: int) -> None:
        self._scratch = TemporaryDirectory(prefix=PREFIX)
        self._script = ExitStack()
        self._script.enter_context(script_left_out())  # workers that die are replaced as long as this is there
        security = Security.temporary()
        server = {"host": "127.0.0.1", "protocol": "tls", "security": security}
        worker = {
            "worker_class": ClosedWorker,
            "nthreads": 1,
            "memory_limit": memory_limit,
            "local_directory": self._scratch.name,
            "silence_logs": QUIETLY,
        }
        super().__init__(
            scheduler={"cls": ClosedScheduler, "options": {**server, **TWO_DOORS}},
            worker={"cls": Nanny, "options": {**server, **worker}},
            security=security,
            silence_logs=QUIETLY,
        )

    @property
    def scheduler_address(self) -> str:
        """Where a client in this process finds the scheduler."""
        _outside, inside = self.scheduler.listeners
        return str(inside.contact_address)

    def close(self, timeout: float | None = None) -> None:
        try:
            super().close(timeout)
        finally:
            self._script.close()
            self._scratch.cleanup()
