"""A run whose tasks do nothing: what is left is the loop and the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bigcell.core.volume import ArrayVolume
from bigcell.engine.pipeline.in_memory import MemoryLabels
from bigcell.engine.pipeline.segment import segment_volume
from bigcell.engine.pipeline.stage_runner import Run
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.request import Request
from bigcell.engine.runtime.events import Listener, ignore
from bigcell.engine.tasks.job import Job
from bigcell.io.scratch import DiskScratch

NOTES: dict[str, dict[str, Any]] = {
    "follow_flows": {"foreground": 1, "escaped": 0, "reach": 1, "step": 1024, "to": []},
    "find_sinks": {"ends": 1},
    "label_blocks": {"pieces": 1, "lost": 0},
    "merge_objects": {"objects": 1, "kept": 1},
    "filter_by_flow_error": {"unfit": 0, "unchecked": 0},
    "fill_holes": {"filled": 0, "unfilled": 0, "patches": []},
    "assign_ids": {"count": 1, "small": 0},
    "write_labels": {"labelled": 1, "sha256": "ab" * 32},
}
"""What tasks that do nothing say they did; to be put in the place of those in `bigcell.engine.tasks.stages.STAGES`."""


def drive_blocks(side: int, folder: Path, listener: Listener = ignore) -> Run:
    """A run over `side` x `side` blocks of one voxel, its scratch in `folder`."""
    flows = ArrayVolume(np.zeros((4, 1, side, side), np.float32))
    plan = make_plan(Request(block=(1, 1, 1)), None, flows)
    run = Run(Job(plan, None, flows, DiskScratch(folder)), listener=listener)
    segment_volume(run, lambda count: MemoryLabels(np.zeros((1, side, side), np.uint32)))
    return run
