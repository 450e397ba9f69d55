"""Cellpose's own blockwise pipeline (contrib.distributed_segmentation) over a store, for ./scripts/bench.

    python peer_pipeline.py exact|network SET_FOLDER BLOCK DIAMETER OUT

`network` runs the package as it is, with the checkpoint beside the set. `exact` puts an oracle in the place of the
network: the step that Cellpose offers for preprocessing reads the exact flows of the block (with its overlap) from the
store, and the model's `eval` hands them to the package's own mask computation, as `CellposeModel.eval` does with what
the network says. Nothing else is replaced.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import zarr

SETTINGS = {"do_3D": True, "min_size": 15, "cellprob_threshold": 0.0, "flow_threshold": 0.4}


class Oracle:
    """Stands for CellposeModel where the flows are known."""

    def __init__(self, **_: object) -> None: ...

    def eval(self, flows: np.ndarray, diameter: float, **settings: object) -> tuple[np.ndarray]:
        from cellpose import dynamics

        cpu = torch.device("cpu")
        return (dynamics.resize_and_compute_masks(flows[:3], flows[3], niter=200, device=cpu, **settings),)


def known_flows(image: np.ndarray, store: str, crop: tuple[slice, ...]) -> np.ndarray:
    """A preprocessing step: the flows and logit (4, z, y, x) of the block, and the oracle in the place of the model."""
    from cellpose import models

    models.CellposeModel = Oracle
    return np.asarray(zarr.open_array(store, mode="r")[(slice(None), *crop)])


def main() -> None:
    what, folder, block, diameter, out = sys.argv[1:]
    home = tempfile.mkdtemp()
    os.environ["HOME"] = home  # the package writes its settings of dask there
    Path(home, ".config", "dask").mkdir(parents=True)
    os.chdir(home)
    from cellpose.contrib.distributed_segmentation import distributed_eval

    image = zarr.open_array(Path(folder, "image.zarr", "0"), mode="r")
    image = zarr.array(np.asarray(image).reshape(image.shape[-3:]), store=Path(home, "image.zarr"), chunks=(64, 64, 64))
    steps, model = [], {"gpu": False, "pretrained_model": str(Path(folder).with_name("network") / "cpnet.pt")}
    if what == "exact":
        steps, model = [(known_flows, {"store": str(Path(folder, "flows.zarr", "0"))})], {}
    else:
        SETTINGS["channels"] = [0, 0]
    start = time.perf_counter()
    labels, _ = distributed_eval(
        input_zarr=image,
        blocksize=tuple(int(n) for n in block.split(",")),
        write_path=str(Path(home, "labels.zarr")),
        preprocessing_steps=steps,
        model_kwargs=model,
        eval_kwargs={"diameter": int(diameter), **SETTINGS},
        cluster_kwargs={"n_workers": 2, "ncpus": 1, "memory_limit": "10GB", "threads_per_worker": 1},
    )
    seconds = time.perf_counter() - start
    np.savez(Path(out).with_suffix(".npz"), labels=np.asarray(labels))
    Path(out).with_suffix(".json").write_text(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
