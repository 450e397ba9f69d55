"""Averaged against summed views, centred against Cellpose's sampling: F1 with a real network on labelled stacks.

    python benchmarks/views.py FOLDER [--model default]

FOLDER holds stacks as `NAME/image.tif` with `NAME/labels.tif`. Two synthetic tissues with known truth are added.
Prints a Markdown table of F1 at IoU 0.5 and 0.75.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import tifffile
from quality import SPACING, typical_diameter

import bigcell
from bigcell.core.axes import Spacing
from bigcell.core.volume import ArrayVolume
from bigcell.metrics.matching import compare
from bigcell.synthetic import sample_volume


def stacks(folder: Path) -> Iterator[tuple[str, ArrayVolume, np.ndarray]]:
    """(name, image, labels) of every set."""
    for path in sorted(folder.rglob("image.tif")):
        image = tifffile.imread(path)
        spacing = Spacing(*SPACING.get(path.parent.name, (1.0, 1.0, 1.0)))
        yield path.parent.name, ArrayVolume(image, spacing), tifffile.imread(path.with_name("labels.tif"))
    for diameter, z in ((17, 1.0), (13, 2.0)):
        made = sample_volume((round(64 / z), 112, 112), diameter=diameter, spacing=(z, 1, 1), seed=11)
        yield f"synthetic, cells of {diameter}, z step {z:g}", ArrayVolume(made.image, made.spacing), made.labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="default")
    given = parser.parse_args()
    ways = list(product(("average", "sum"), ("centre", "cellpose")))
    print("| set | " + " | ".join(f"{views}, {sampling}" for views, sampling in ways) + " |")
    print("|---" * (len(ways) + 1) + "|")
    for name, image, truth in stacks(given.folder):
        row = [name]
        for views, sampling in ways:
            made = bigcell.segment(
                image, model=given.model, diameter=typical_diameter(truth), views=views, sampling=sampling
            )
            f1 = [compare(truth, made.labels, threshold=at).f1 for at in (0.5, 0.75)]
            row.append(f"{f1[0]:.3f} / {f1[1]:.3f}")
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
