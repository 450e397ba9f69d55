"""Steps that read the image: intensity statistics, and the network."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from bigcell.core.errors import ModelError
from bigcell.engine.planning.plan import Plan
from bigcell.engine.runtime.malloc import memory_kept
from bigcell.engine.tasks.intensity import network_image
from bigcell.engine.tasks.job import Job
from bigcell.flows.settings import Precision


def predict(job: Job, item: tuple[int]) -> dict[str, Any]:
    """Run the tiles that the cube owns and leave its integer flows; of an image without contrast there are none."""
    from bigcell.flows.predict import predict_cube  # torch only where a network runs

    assert job.image is not None
    if job.is_blank:
        return {"tiles": 0, "notes": []}
    model = loaded_model(job.plan.model, job.plan.model_sha256)
    runners = view_runners(job.plan)
    footprint = job.lattice.footprint(item[0])
    image = network_image(job, footprint)
    if len(image) < model.channels:
        image = np.concatenate([image, np.zeros((model.channels - len(image), *footprint.shape), np.float32)])
    with memory_kept():
        flows = predict_cube(runners, image, job.lattice, item[0], job.plan.settings.flows)
    job.scratch.save_dense(f"flows/{item[0]}", flows)
    return {
        "tiles": job.lattice.tiles_of(item[0]),
        "notes": sorted({note for runner in runners for note in runner.notes}),
    }


def view_runners(plan: Plan) -> list[Any]:
    """What runs the views yx, zx and zy."""
    precision = plan.settings.flows.precision
    first = _runner(plan.model, plan.model_sha256, precision)
    rest = _runner(plan.model_ortho, plan.model_ortho_sha256, precision) if plan.model_ortho else first
    return [first, rest, rest]


@lru_cache(maxsize=2)
def _runner(name: str, sha256: str, precision: Precision) -> Any:
    """The planned model on this worker's device, made once per process."""
    from bigcell.flows.runner import Runner

    return Runner(loaded_model(name, sha256).network, precision=precision)


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
