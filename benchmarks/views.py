"""Averaged against summed views, centred against Cellpose's sampling: F1 with a real network on labelled stacks.

    python benchmarks/views.py FOLDER [--model FILE]

FOLDER is as for `quality.py`; its stacks are taken. Two synthetic tissues with known truth are added. Prints a
Markdown table of F1 at IoU 0.5 and 0.75.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from labelled_sets import Labelled, labelled_sets

import bigcell
from bigcell.core.axes import Spacing
from bigcell.core.volume import ArrayVolume
from bigcell.metrics.matching import compare
from bigcell.synthetic import sample_volume


def stacks(folder: Path) -> Iterator[tuple[str, str, Labelled]]:
    """(name, model, stack) of every set of stacks."""
    for images in labelled_sets(folder):
        yield from ((images.name, images.model, one) for one in images.images if one.labels.ndim == 3)
    for diameter, z in ((17, 1.0), (13, 2.0)):
        made = sample_volume((round(64 / z), 112, 112), diameter=diameter, spacing=(z, 1, 1), seed=11)
        name = f"synthetic, cells of {diameter}, z step {z:g}"
        yield name, "cyto", Labelled(name, made.image, made.labels, (z, 1, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", help="instead of the model that ships for a set")
    given = parser.parse_args()
    ways = list(product(("average", "sum"), ("centre", "cellpose")))
    print("| set | " + " | ".join(f"{views}, {sampling}" for views, sampling in ways) + " |")
    print("|---" * (len(ways) + 1) + "|")
    for name, model, stack in stacks(given.folder):
        image, row = ArrayVolume(stack.image, Spacing(*stack.spacing)), [name]
        for views, sampling in ways:
            made = bigcell.segment(
                image, model=given.model or model, diameter=stack.diameter, views=views, sampling=sampling
            )
            f1 = [compare(stack.labels, made.labels, threshold=at).f1 for at in (0.5, 0.75)]
            row.append(f"{f1[0]:.3f} / {f1[1]:.3f}")
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
