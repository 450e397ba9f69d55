"""What Cellpose makes of the mask fixtures: run by make_parity.py in the environment of either version."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from cellpose import dynamics, utils

from scripts.parity.cases import CASES, USUAL, given
from scripts.parity.shapes import mask_shapes, plane_stack

CPU = torch.device("cpu")


def unit_flows(labels: np.ndarray) -> np.ndarray:
    """The package's own flows of `labels`: the released 2-D ones, and the 3-D ones by heat in three dimensions."""
    labels = labels.astype(np.int64)
    if labels.ndim == 3:
        return dynamics.masks_to_flows_gpu_3d(labels, device=CPU)
    released = getattr(dynamics, "masks_to_flows_cpu", dynamics.masks_to_flows_gpu)
    return released(labels, device=CPU)[0]


def flows() -> dict[str, np.ndarray]:
    """Unit flows of every shape, on a grid of 1/32000."""
    return {name: np.round(32000 * unit_flows(labels)).astype(np.int16) for name, labels in mask_shapes().items()}


def masks(units: Path) -> dict[str, np.ndarray]:
    """Labels for every case and setting. `units` holds the int8 unit flows of the shapes."""
    stored, shapes, out = np.load(units), mask_shapes(), {}
    for case, (name, _, _, settings) in CASES.items():
        flow, logit = given(case, stored[name], shapes[name])
        for i, changed in enumerate(settings):
            found = dynamics.resize_and_compute_masks(
                flow, logit, do_3D=len(flow) == 3, device=CPU, **{**USUAL, **changed}
            )
            out[f"{case}/{i}"] = found.astype(np.uint16)
    return out


def stitched() -> dict[str, np.ndarray]:
    stack = plane_stack()
    thresholds = {"low": 0.1, "default": 0.25, "high": 0.5}
    return {name: utils.stitch3D(stack.copy(), stitch_threshold=t).astype(np.uint16) for name, t in thresholds.items()}


def main() -> None:
    what, out, *inputs = sys.argv[1:]
    made = {"flows": flows, "masks": masks, "stitched": stitched}[what](*map(Path, inputs))
    np.savez_compressed(out, **made)


if __name__ == "__main__":
    main()
