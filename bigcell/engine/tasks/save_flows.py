"""The step that keeps flows for later: from scratch into an OME-Zarr, on the image's grid, as the blocks read them."""

from __future__ import annotations

from typing import Any

from bigcell.core.box import Box
from bigcell.engine.tasks.job import Job


def keep(job: Job, item: tuple[int, Box]) -> dict[str, Any]:
    """Write the flows of one region of whole shards."""
    assert job.kept is not None
    job.kept.write(item[1], job.flows(item[1]))
    return {}
