"""How good the models that ship are on labelled images: a table, and pictures of the best, the median and the worst.

    python benchmarks/quality.py FOLDER... [--model FILE] [--out quality] [--only nuclei3d] [--pictures FOLDER]

What a FOLDER may hold is said in `labelled_sets.py`. Every image becomes an OME-Zarr, is segmented block by block at
the typical diameter of its own labels with everything else as it is by default, and is compared at IoU 0.5. Precision,
recall and F1 are of all the cells of a set together; AP is the mean over its images, as in the Cellpose papers.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from labelled_sets import Labelled, LabelledSet, labelled_sets
from showcase import Shown, write_showcase

import bigcell
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.io.ngff.write_image import write_image
from bigcell.metrics.matching import Matching, compare, pooled

HEAD = "| set | model | images | cells | found | precision | recall | F1 | AP | mean IoU |\n" + "|---" * 10 + "|"


@dataclass(frozen=True)
class Outcome:
    """One image of a set: how well what was found matches, and a plane to look at."""

    matching: Matching
    shown: Shown


def segmented(image: Labelled, model: str, out: Path, min_share: float | None) -> np.ndarray:
    """The labels found, in the shape of the true ones."""
    store = write_image(out / f"{image.name}.zarr", image.image, spacing=Spacing(*image.spacing), overwrite=True)
    result = bigcell.segment(
        store,
        model=model,
        diameter=image.diameter,
        channels=None if image.channels is None else list(image.channels),
        min_size=None if min_share is None else max(15, round(min_share * image.ball)),
        cluster="serial",
        overwrite=True,
    )
    found = bigcell.open_volume(result.path)
    return found.read(Box.of(found.extent))[0].reshape(image.labels.shape)


def tried(image: Labelled, model: str, out: Path, min_share: float | None) -> Outcome:
    """Segment and compare one image."""
    found = segmented(image, model, out, min_share)
    matching = compare(image.labels, found)
    plane = int(np.argmax((image.labels > 0).sum((1, 2)))) if found.ndim == 3 else 0
    truth, seen = (labels[plane] if found.ndim == 3 else labels for labels in (image.labels, found))
    return Outcome(matching, Shown(image.name, image.image[:, plane], truth, seen, matching.f1))


def row(images: LabelledSet, model: str, outcomes: Sequence[Outcome]) -> str:
    """The line of a set in the table."""
    each = [outcome.matching for outcome in outcomes]
    both = pooled(each)
    ap = float(np.mean([m.average_precision for m in each]))
    told = " | ".join(f"{score:.3f}" for score in (both.precision, both.recall, both.f1, ap, both.mean_iou))
    return f"| {images.name} | {model} | {len(each)} | {both.n_truth} | {both.n_found} | {told} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--model", help="instead of the model that ships for a set")
    parser.add_argument("--out", type=Path, default=Path("quality"))
    parser.add_argument("--only", default="", help="sets whose name has this in it")
    parser.add_argument("--pictures", type=Path, help="a folder for the pictures; OUT, if not given")
    parser.add_argument("--min-share", type=float, help="min_size in 3-D, as a share of a ball's volume (0: 15 voxels)")
    options = parser.parse_args()
    sets = [s for folder in options.folders for s in labelled_sets(folder) if options.only in s.name]
    if not sets:
        raise InputError(f"no labelled images in {', '.join(map(str, options.folders))}; see labelled_sets.py")
    print(HEAD)
    for images in sets:
        model, name = options.model or images.model, images.name.replace("/", "-")
        out = options.out / name
        out.mkdir(parents=True, exist_ok=True)
        outcomes = [tried(image, model, out, options.min_share) for image in images.images]
        write_showcase([outcome.shown for outcome in outcomes], (options.pictures or out) / f"quality-{name}.jpg")
        print(row(images, Path(model).stem, outcomes), flush=True)


if __name__ == "__main__":
    main()
