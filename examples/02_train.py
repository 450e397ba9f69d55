"""Train a network from scratch on a dozen small images, and find cells in an image that it has not seen.

    python examples/02_train.py [--folder train-output] [--steps 250] [--images 12]

One to two minutes on a core of a laptop. The images are synthetic, so that the truth is known; yours go into a folder
as Cellpose has them: cell.tif with cell_masks.tif beside it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import tifffile

import bigcell
from bigcell.cli.train import Course
from bigcell.metrics.matching import compare
from bigcell.synthetic import sample_volume

DIAMETER = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("train-output"))
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--images", type=int, default=12)
    options = parser.parse_args()

    images = options.folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for i in range(options.images):
        sample = sample_volume((1, 192, 192), diameter=DIAMETER, seed=i)
        tifffile.imwrite(images / f"cells{i:02}.tif", sample.image[0, 0])
        tifffile.imwrite(images / f"cells{i:02}_masks.tif", sample.labels[0].astype(np.uint16))

    with Course() as course:
        trained = bigcell.train(
            images, options.folder / "model", listener=course,
            width=(8, 16, 32, 64), steps=options.steps, epoch=800, rate=5e-3, licence="CC0",
        )  # fmt: skip
    print(f"model    {trained.model}\npage     {trained.model.with_name('training.html')}")

    unseen = sample_volume((1, 300, 300), diameter=DIAMETER, seed=1000)
    found = bigcell.segment(unseen.image[0, 0], model=trained.model, diameter=DIAMETER)
    assert found.labels is not None
    matched = compare(unseen.labels[0], found.labels)
    report = {"true cells": int(unseen.labels.max()), "found": found.objects, "F1 at IoU 0.5": round(matched.f1, 3)}
    (options.folder / "report.json").write_text(json.dumps(report, indent=1))
    for name, value in report.items():
        print(f"{name:<14} {value}")


if __name__ == "__main__":
    main()
