"""The road, step by step. Each step does one item (a block, a cube, a layer, a region) and leaves whole entries.

========== ============ ============================================== ==========================================
step       item         reads                                          leaves
========== ============ ============================================== ==========================================
statistics block        image                                          histogram of intensities
refine     block        image (as often as its type needs)             histogram of the next digits
predict    cube         image of the cube's tiles                      integer flows
keep       region       flows                                          flows as an OME-Zarr, where that is asked for
follow     block        flows of the block and its halo                ends of its voxels, their histogram; mail
drain      block, round mail, flows                                    returns to the home blocks; mail
settle     block        returns                                        ends and histogram, complete
sinks      block        histograms of blocks that reach it             sink of every end in the block
name       block        ends, sinks of the blocks they lie in          labels named by sink, pieces of objects
reduce     block        pieces of blocks that can hold its objects     objects it owns, those too small left out
check      block        objects it owns, their labels and flows        those whose flows fit
fill       block        objects it owns, labels around                 voxels of their holes; objects with them
overlap    block        labels of its planes and the next one          voxels that objects of neighbouring planes share
link       layer        objects, what they share, the layer before     linked objects
number     layer        objects of the layer's blocks                  their ranks, rows of the object table
apply      region       labels named by sink, filled voxels, ranks     final labels and their pyramid
coarsen    level,region labels of the level before                     labels of a coarse level
table      part         rows of the objects in a range of ids          a file of the object table
========== ============ ============================================== ==========================================

Every item carries the numbers of the blocks it depends on, so a task needs to know nothing but its own item.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from bigcell.engine.tasks import (
    assign_ids,
    clean,
    follow,
    intensity,
    link_planes,
    objects,
    predict,
    save_flows,
    write_labels,
)
from bigcell.engine.tasks.job import Job

Step = Callable[[Job, Any], dict[str, Any]]

STEPS: dict[str, Step] = {
    "statistics": intensity.statistics,
    "refine": intensity.refine,
    "predict": predict.predict,
    "keep": save_flows.keep,
    "follow": follow.follow_block,
    "drain": follow.drain,
    "settle": follow.settle,
    "sinks": objects.sinks,
    "name": objects.name,
    "reduce": objects.reduce,
    "check": clean.check,
    "fill": clean.fill,
    "overlap": link_planes.overlap,
    "link": link_planes.link,
    "number": assign_ids.number,
    "apply": write_labels.apply,
    "coarsen": write_labels.coarsen,
    "table": assign_ids.table,
}


def key_of(item: Any) -> str:
    """The item's name in the journal: its first part.

    >>> key_of((7, (1, 2))), key_of(("2-7", (1,)))
    ('7', '2-7')
    """
    return str(item[0])


def perform(job: Job, stage: str, item: Any, tries: int = 1) -> tuple[str, dict[str, Any]]:
    """Do one item of `stage` and note it in the journal. Returns its key and its small result.

    Beside what the step says the note holds its seconds, when it was done (since 1970), the most memory that this
    process has held, and `tries` where this is not the first.
    """
    _slow_down()
    begun = time.perf_counter()
    result = STEPS[stage](job, item)
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
