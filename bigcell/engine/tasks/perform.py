"""One task is done: run by its stage, measured, and noted in the journal."""

from __future__ import annotations

import os
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from bigcell.engine.tasks.job import Job
from bigcell.engine.tasks.stages import STAGES


def key_of(item: Any) -> str:
    """The item's name in the journal: its first part.

    >>> key_of((7, (1, 2))), key_of(("2-7", (1,)))
    ('7', '2-7')
    """
    return str(item[0])


def perform(job: Job, stage: str, item: Any, tries: int = 1) -> tuple[str, dict[str, Any]]:
    """Do one item of `stage` and note it in the journal. Returns its key and its small result.

    Beside what the stage says the note holds its seconds, when it was done (since 1970), the most memory that this
    process has held, and `tries` where this is not the first.
    """
    _slow_down()
    begun = time.perf_counter()
    result = STAGES[stage].run(job, item)
    result["seconds"] = round(time.perf_counter() - begun, 3)
    result["peak"] = peak_bytes()
    result["at"] = round(time.time(), 3)
    if tries > 1:
        result["tries"] = tries
    job.journal.mark(stage, key_of(item), result)
    return key_of(item), result


def peak_bytes() -> int:
    """The most memory this process has held so far, in bytes (0 where the system does not tell)."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent held before it started this process
        line = next((ln for ln in status.read_text().splitlines() if ln.startswith("VmHWM")), "VmHWM: 0")
        return int(line.split()[1]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 0


@lru_cache(maxsize=1)
def _pause() -> float:
    return float(os.environ.get("BIGCELL_TASK_PAUSE", "0"))


def _slow_down() -> None:
    """Tests that kill a run half way make its tasks slow through the environment."""
    if _pause():
        time.sleep(_pause())
