"""Steps on labels made by hand, from named labels to the end; flows and images that are long or flat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bigcell.core.box import Box
from bigcell.core.volume import ArrayVolume
from bigcell.engine.pipeline.in_memory import MemoryLabels
from bigcell.engine.pipeline.segment import check_objects, fill_holes, number_objects, write_labels
from bigcell.engine.pipeline.stage_runner import Run
from bigcell.engine.planning.plan import Plan
from bigcell.engine.runtime.events import Notice
from bigcell.engine.tasks.assign_ids import load_rows
from bigcell.engine.tasks.job import Job
from bigcell.engine.tasks.objects import save_pieces
from bigcell.io.ngff.write_image import write_image
from bigcell.io.scratch import MemoryScratch
from bigcell.stitch.pieces import Pieces
from bigcell.synthetic import sample_volume
from bigcell.testing.flows import FlowLattice

Finish = Callable[[np.ndarray, np.ndarray, Plan], tuple[np.ndarray, Pieces, list[str]]]


def finish_labels(labels: np.ndarray, flows: np.ndarray, plan: Plan) -> tuple[np.ndarray, Pieces, list[str]]:
    """What the steps after `name` make of `labels` (sink names): final labels, rows of the table, notices."""
    told: list[str] = []
    job = Job(plan, None, ArrayVolume(flows), MemoryScratch())
    run = Run(job, listener=lambda event: told.append(event.text) if isinstance(event, Notice) else None)
    for k in run.blocks:
        core = job.grid.core(k)
        names, local = np.unique(labels[core.slices], return_inverse=True)
        if names[0] != 0:
            names, local = np.append(0, names), local + 1
        local = local.reshape(core.shape).astype(np.uint32)
        job.scratch.save_dense(f"labels/{k}", local)
        save_pieces(job, f"pieces/{k}", Pieces.measure(local, names[1:], core))
    run.stage("merge_objects", ((k, tuple(run.blocks)) for k in run.blocks))
    check_objects(run)
    patches = fill_holes(run)
    out = MemoryLabels(np.zeros(labels.shape, np.uint32))
    count = number_objects(run, patches)
    run.job = Job(plan, None, None, job.scratch, offsets=run.job.offsets, labels=out)
    write_labels(run, patches)
    rows = load_rows(run.job, 0, count)
    assert len(rows) == count
    return out.array, rows, told


@pytest.fixture(scope="session")
def finish() -> Finish:
    return finish_labels


@pytest.fixture(scope="module")
def long_flows() -> np.ndarray:
    extent = (16, 64, 608)
    return FlowLattice(extent, diameter=9, noise=0.4, fill=0.7).read(Box.of(extent))


@pytest.fixture(scope="module")
def long_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = sample_volume((6, 32, 256), diameter=13, seed=3)
    image = made.image.copy()
    image[..., 100:180] = image.min()
    return write_image(tmp_path_factory.mktemp("image") / "image.zarr", image, spacing=made.spacing)


@pytest.fixture(scope="module")
def flat_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = sample_volume((1, 48, 352), diameter=13, seed=3)
    image = made.image.copy()
    image[..., 90:280] = image.min()
    return write_image(tmp_path_factory.mktemp("flat") / "image.zarr", image, spacing=made.spacing)
