"""Steps that read the image: intensity statistics, and the network."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from bigcell.core.errors import ModelError
from bigcell.engine.job import Job
from bigcell.preprocess import statistics as stats
from bigcell.preprocess.normalize import normalize
from bigcell.preprocess.rescale import to_network


def statistics(job: Job, item: tuple[int]) -> dict[str, Any]:
    """Histogram of the upper halves of the keys, channel by channel."""
    assert job.image is not None
    image = job.image.read(job.grid.core(item[0]))
    counts = {f"upper{c}": stats.count_upper(channel[None]) for c, channel in enumerate(image)}
    job.scratch.save(f"statistics/{item[0]}", counts)
    return {}


def refine(job: Job, item: tuple[int, tuple[tuple[int, ...], ...]]) -> dict[str, Any]:
    """Histograms of the lower halves inside the bins (given channel by channel) that hold the percentiles."""
    assert job.image is not None
    number, bins = item
    image = job.image.read(job.grid.core(number))
    counts = {}
    for c, (channel, wanted) in enumerate(zip(image, bins, strict=True)):
        for upper, histogram in stats.count_lower(channel, wanted).items():
            counts[f"lower{c}-{upper}"] = histogram
    job.scratch.save(f"refine/{number}", counts)
    return {}


def predict(job: Job, item: tuple[int]) -> dict[str, Any]:
    """Run the tiles that the cube owns and leave its integer flows."""
    from bigcell.flows.predict import predict_cube  # torch only where a network runs

    assert job.image is not None
    model = loaded_model(job.plan.model, job.plan.model_sha256)
    footprint = job.lattice.footprint(item[0])
    source = job.grids.source_box(footprint)
    image = normalize(job.image.read(source), job.contrast)
    image = to_network(image, source, footprint, job.grids)
    if len(image) < model.channels:
        image = np.concatenate([image, np.zeros((model.channels - len(image), *footprint.shape), np.float32)])
    job.scratch.save_dense(f"flows/{item[0]}", predict_cube(model.network, image, job.lattice, item[0]))
    return {"tiles": sum(run.last - run.first for run in job.lattice.runs(item[0]))}


@lru_cache(maxsize=2)
def loaded_model(name: str, sha256: str) -> Any:
    """The model, loaded once per process, and certainly the one that was planned."""
    from bigcell.networks.registry import load_model

    model = load_model(name)
    if model.sha256 != sha256:
        raise ModelError(
            f"model {name!r} has SHA-256 {model.sha256[:12]}, the plan was made with {sha256[:12]}: "
            "put the planned weights back, or make a new plan"
        )
    return model
