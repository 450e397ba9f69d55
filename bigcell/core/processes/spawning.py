"""Worker processes of this machine, however a pool starts them: shielded, and without the user's script."""

from __future__ import annotations

from multiprocessing.context import SpawnContext, SpawnProcess

from bigcell.core.processes.interrupts import shielded
from bigcell.core.processes.script import script_left_out


class Worker(SpawnProcess):
    """A process that signals of a terminal do not reach, and that does not run the user's script."""

    def start(self) -> None:
        with shielded(), script_left_out():
            super().start()


class Spawning(SpawnContext):
    """Pools start processes when they are given work; only then have they to be shielded."""

    Process = Worker
