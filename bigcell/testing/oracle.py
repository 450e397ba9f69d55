"""A run on disk with flows of known truth in the place of a network: what is measured is all that comes after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bigcell.core.axes import Spacing
from bigcell.core.volume import Array, ArrayVolume, Volume
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.dynamics.window import integer_flows
from bigcell.engine.pipeline.in_memory import MemoryLabels
from bigcell.engine.pipeline.segment import segment_volume
from bigcell.engine.pipeline.stage_runner import Run
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import RunSettings
from bigcell.engine.runtime.events import Event, StageFinished
from bigcell.engine.tasks.job import Job
from bigcell.io.scratch import DiskScratch
from bigcell.preprocess.normalize import NormalizeSettings
from bigcell.testing.flows import FlowLattice
from bigcell.tiling.lattice import TileSettings

KINDS = ("flows", "ends", "histogram", "sinks", "labels", "pieces", "objects", "filled", "mail", "returns")
"""Entries of the scratch that grow with the volume."""


def oracle_plan(lattice: FlowLattice, block: tuple[int, int, int], *, niter: int = 200, tile: int = 32) -> Plan:
    """A plan for a network that needs no rescaling, over the extent of `lattice`."""
    run = RunSettings(
        block,
        diameter=lattice.diameter,
        tiles=TileSettings(size=tile, group=1),
        normalize=NormalizeSettings(normalize=False),
        dynamics=DynamicsSettings(niter=niter, halo=4),
    )
    return Plan(lattice.extent, Spacing(), ("image",), "float32", run, model="nuclei", model_diameter=lattice.diameter)


def predict_lattice(lattice: FlowLattice | Volume) -> Callable[[Job, tuple[int]], dict[str, Any]]:
    """To be put in the place of what ``predict_flows`` runs: every cube leaves the flows that `lattice` holds in its
    own region."""

    def predict(job: Job, item: tuple[int]) -> dict[str, Any]:
        footprint = job.lattice.footprint(item[0])
        region = job.lattice.region(item[0]) & footprint
        flows = np.zeros((4, *footprint.shape), np.int16)
        flows[(slice(None), *region.relative_to(footprint).slices)] = integer_flows(lattice.read(region))
        job.scratch.save_dense(f"flows/{item[0]}", flows)
        return {"tiles": job.lattice.tiles_of(item[0]), "notes": []}

    return predict


@dataclass
class DiskWatch:
    """A listener that looks, whenever a stage or a part of one is done, how many bytes of scratch there are: nothing is
    removed before. `most` of all looks."""

    folder: Path
    most: int = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageFinished):
            self.most = max(self.most, sum(self.sizes().values()))

    def sizes(self) -> dict[str, int]:
        """Bytes by kind."""
        return {kind: sum(p.stat().st_size for p in (self.folder / kind).glob("*.*")) for kind in KINDS}


def run_on_disk(plan: Plan, folder: Path) -> tuple[Array, DiskWatch]:
    """Run `plan` in this process, on an image of nothing. Labels (z, y, x), and what scratch there was in `folder`."""
    image = ArrayVolume(np.zeros((1, *plan.extent), np.float32))
    watch, labels = DiskWatch(folder), np.zeros(plan.extent, np.uint32)
    run = Run(Job(plan, image, None, DiskScratch(folder)), listener=watch)
    segment_volume(run, lambda count: MemoryLabels(labels))
    return labels, watch
