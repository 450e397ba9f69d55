"""One driver of a run that is to be disturbed, and what disturbs it. Notes every finished task in a file."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections import Counter

import psutil

import bigcell
from bigcell.engine.runtime.events import Event, StageStarted, TaskDone


def main() -> None:
    """``drive.py LOG VERB ARGUMENTS KILLS``: a verb of bigcell with arguments as JSON.

    KILLS is a list of [tasks, way]: when so many tasks are done, by this driver or by those before it, a worker is
    killed, this driver, or both, which is a line of LOG.kills. So what happens, and when, is not the clock's choice.
    """
    log, verb, arguments, kills = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
    done = Counter[str]()
    with open(log, "a", buffering=1) as out, open(f"{log}.kills", "a", buffering=1) as killed:

        def listen(event: Event) -> None:
            if isinstance(event, StageStarted):
                done[event.stage] = max(done[event.stage], event.done)
            if isinstance(event, TaskDone):
                print(event.stage, event.key, file=out)
                done[event.stage] += 1
                if kills and done.total() >= kills[0][0]:
                    tasks, way = kills.pop(0)
                    print(f"{way} after {tasks}", file=killed)
                    kill(way, random.Random(tasks))

        getattr(bigcell, verb)(**arguments, listener=listen)


def kill(way: str, chance: random.Random) -> None:
    """A worker, at work or not; the driver, and the workers are left alone in the world; or both: the power fails."""
    children = psutil.Process().children(recursive=True)
    workers = [c for c in children if "spawn_main" in " ".join(c.cmdline())]
    chosen = {"worker": chance.sample(workers, min(1, len(workers))), "driver": [], "both": workers}[way]
    for worker in chosen:
        worker.kill()
    if way != "worker":
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
