"""How good a model is on real labelled images: precision, recall, F1 at IoU 0.5 and the mean IoU of matched pairs.

    python benchmarks/quality.py FOLDER [--model default] [--out quality] [--only nuclei3d]

FOLDER holds sets as `NAME/image.tif` with `NAME/labels.tif` (3-D), or folders of `*_image.png` with `*_labels.png`
(2-D). Each is converted with `bigcell.convert`, segmented with the typical diameter of its own labels, compared, and
drawn. Counts of a 2-D folder are added up over its images. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from skimage.io import imread
from skimage.measure import regionprops

import bigcell
from bigcell.core.box import Box
from bigcell.metrics.matching import compare
from bigcell.viewers.figures import store_figure

SPACING = {  # um z, y, x; only the ratio matters where the source does not say
    "nuclei3d_gonuclear_1135": (0.2837, 0.1268, 0.1268),
    "nuclei3d_qcanet_8cell": (2.18, 1.0, 1.0),
    "nuclei3d_stardist": (2.0, 1.0, 1.0),
}


def typical_diameter(labels: np.ndarray) -> float:
    """Median over the cells of the diameter, in xy, of a disc with the area of the cell's largest section."""
    if labels.ndim == 2:
        sizes = [p.area for p in regionprops(labels)]
    else:
        sizes = [p.image.sum((1, 2)).max() for p in regionprops(labels)]
    return float(2 * np.sqrt(np.median(sizes) / np.pi))


def segment(source: Path, truth: np.ndarray, out: Path, options: argparse.Namespace) -> np.ndarray:
    """Convert, segment and draw one image; the labels found."""
    spacing = SPACING.get(source.parent.name) if truth.ndim == 3 else None
    axes = "zyx" if truth.ndim == 3 else None
    store = bigcell.convert(source, out / f"{source.stem}.zarr", axes=axes, spacing_um=spacing, overwrite=True)
    info = bigcell.open_volume(store)
    first = None if len(info.channels) == 1 else [0]
    diameter = typical_diameter(truth)
    ball = np.pi / 6 * diameter**3 / (spacing[0] / spacing[2] if spacing else 1) if truth.ndim == 3 else 0
    result = bigcell.segment(
        store,
        model=options.model,
        diameter=diameter,
        channels=first,
        min_size=None if options.min_share is None else max(15, round(options.min_share * ball)),
        cluster="serial",
        overwrite=True,
    )
    found = bigcell.open_volume(result.path)
    if options.pictures:
        store_figure(store, out / f"{source.stem}.png", labels="cells")
        options.pictures -= truth.ndim == 2
    return found.read(Box.of(found.extent))[0].reshape(truth.shape)


def pairs(folder: Path) -> Iterator[tuple[str, list[tuple[Path, np.ndarray]]]]:
    """(name, [(image file, labels)]) of every set below `folder`."""
    for image in sorted(folder.rglob("image.tif")):
        yield image.parent.name, [(image, tifffile.imread(image.with_name("labels.tif")))]
    for inside in sorted({p.parent for p in folder.rglob("*_image.png")}):
        images = sorted(inside.glob("*_image.png"))
        name = str(inside.relative_to(folder))
        yield name, [(p, imread(p.with_name(p.name.replace("_image", "_labels")))) for p in images]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--out", type=Path, default=Path("quality"))
    parser.add_argument("--only", default="")
    parser.add_argument("--min-share", type=float, help="min_size in 3-D, as a share of a ball's volume (0: 15 voxels)")
    options = parser.parse_args()
    print("| set | images | cells | found | precision | recall | F1 | mean IoU |\n|---|---|---|---|---|---|---|---|")
    for name, images in pairs(options.folder):
        if options.only not in name:
            continue
        options.pictures = 3
        out = options.out / name
        out.mkdir(parents=True, exist_ok=True)
        each = [compare(truth, segment(path, truth, out, options)) for path, truth in images]
        matched, truths = sum(m.matched for m in each), sum(m.n_truth for m in each)
        found = sum(m.n_found for m in each)
        iou = sum(m.mean_iou * m.matched for m in each if m.matched) / max(matched, 1)
        precision, recall = matched / max(found, 1), matched / max(truths, 1)
        f1 = 2 * matched / max(found + truths, 1)
        print(
            f"| {name} | {len(each)} | {truths} | {found} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {iou:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
