"""Score a model on labelled images that it was not trained on, by the road that users take.

    python scripts/score_model.py FOLDER [--model default]

FOLDER holds `nuclei2d_dsb2018`, `cells2d_phase_usiigaci`, `nuclei3d_stardist`, `nuclei3d_qcanet_8cell` and
`nuclei3d_gonuclear_1135`; whichever is absent is left out. Each image is segmented at its own median diameter, so what
is measured is the network, not the choice of a diameter. Synthetic tissue comes last, of seeds not used in training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tifffile
from skimage.io import imread

from bigcell.api import segment
from bigcell.core.volume import Array
from bigcell.metrics.matching import Matching, compare
from bigcell.testing.synthetic import sample_volume
from bigcell.training.data import mean_diameter

STACKS = {"nuclei3d_stardist": 2.0, "nuclei3d_qcanet_8cell": 2.18, "nuclei3d_gonuclear_1135": 0.2837 / 0.1268}


def scored(image: Array, truth: Array, model: str, *, diameter: float, anisotropy: float = 1.0) -> list[Matching]:
    """Matchings at an IoU of 0.5 and of 0.75."""
    found = segment(image, model=model, diameter=diameter, anisotropy=anisotropy).labels
    found = np.zeros_like(truth) if found is None else np.asarray(found).reshape(truth.shape)
    return [compare(truth, found, threshold=t) for t in (0.5, 0.75)]


def show(name: str, scores: list[list[Matching]]) -> None:
    """One row of the table: means over images, and F1 of all cells together."""
    half, strict = zip(*scores, strict=True)
    matched, both = sum(m.matched for m in half), sum(m.n_truth + m.n_found for m in half)
    ap50, ap75 = (np.mean([m.average_precision for m in group]) for group in (half, strict))
    cells = f"{sum(m.n_truth for m in half)} | {sum(m.n_found for m in half)}"
    values = (2 * matched / both, ap50, ap75, np.mean([m.mean_iou for m in half]))
    print(f"| {name} | {len(scores)} | {cells} |", " | ".join(f"{v:.2f}" for v in values), "|", flush=True)


def flat_images(folder: Path, model: str) -> list[list[Matching]]:
    scores = []
    for path in sorted(folder.glob("*_image.png")):
        truth = imread(path.with_name(path.name.replace("_image", "_labels"))).astype(np.int32)
        image = imread(path).astype(np.float32)
        image = image[..., :3].mean(-1) if image.ndim == 3 else image
        if truth.any() and image.max() > image.min():
            scores.append(scored(image, truth, model, diameter=mean_diameter(truth[None])))
    return scores


def real(data: Path, model: str) -> None:
    for name in ("nuclei2d_dsb2018/fluorescence", "nuclei2d_dsb2018/histology", "cells2d_phase_usiigaci"):
        if (data / name).is_dir():
            show(name, flat_images(data / name, model))
    for name, anisotropy in STACKS.items():
        if (data / name).is_dir():
            image = tifffile.imread(data / name / "image.tif")
            truth = tifffile.imread(data / name / "labels.tif").astype(np.int32)
            diameter = mean_diameter(truth) * anisotropy ** (1 / 3)  # of a ball of cubic voxels
            show(name, [scored(image, truth, model, diameter=diameter, anisotropy=anisotropy)])


def synthetic(model: str) -> None:
    flat = sample_volume((1, 256, 256), diameter=20, seed=901)
    show("synthetic cells, 2-D", [scored(flat.image, flat.labels, model, diameter=20)])
    deep = sample_volume((40, 128, 128), diameter=20, spacing=(2.0, 1.0, 1.0), seed=902)
    show("synthetic cells, 3-D", [scored(deep.image, deep.labels, model, diameter=20, anisotropy=2)])
    show("the same without nuclei", [scored(deep.image[0], deep.labels, model, diameter=20, anisotropy=2)])
    show("its nuclei alone", [scored(deep.image[1], deep.nuclei, model, diameter=12, anisotropy=2)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="default")
    given = parser.parse_args()
    print("| | images | cells | found | F1 at 0.5 | AP at 0.5 | AP at 0.75 | IoU of matched |\n|" + "---|" * 8)
    real(given.data, given.model)
    synthetic(given.model)


if __name__ == "__main__":
    main()
