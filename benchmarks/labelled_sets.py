"""Labelled images of a folder, as `benchmarks/quality.py` needs them: real ones as they are, real cells rendered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from skimage.io import imread
from skimage.measure import regionprops

from bigcell.core.sizes import typical_size
from bigcell.synthetic import Kind, look_of, render

CUBES = (1.0, 1.0, 1.0)
SPACING = {  # um z, y, x; only the ratio matters where the source does not say
    "nuclei3d_gonuclear_1135": (0.2837, 0.1268, 0.1268),
    "nuclei3d_qcanet_8cell": (2.18, 1.0, 1.0),
    "nuclei3d_stardist": (2.0, 1.0, 1.0),
    "cells_80x224x448": (2.0, 1.0, 1.0),  # so that its cells, 17 x 39 x 40 voxels, are about as tall as wide
}
RENDERED: tuple[Kind, ...] = ("cytoplasm", "membrane")
SEED = 2026


@dataclass(frozen=True)
class Labelled:
    """One image ``(c, z, y, x)`` with the true `labels` (y, x) or (z, y, x). `channels`: those that are segmented."""

    name: str
    image: np.ndarray
    labels: np.ndarray
    spacing: tuple[float, float, float] = CUBES
    channels: tuple[int | str, ...] | None = None

    @property
    def diameter(self) -> float:
        """Median over the cells of the diameter, in xy, of a disc with the area of the cell's largest section."""
        flat = self.labels.ndim == 2
        sizes = [p.area if flat else p.image.sum((1, 2)).max() for p in regionprops(self.labels)]
        return typical_size(np.array(sizes), flat=True)

    @property
    def ball(self) -> float:
        """Voxels of a ball of that diameter; 0 for a plane."""
        return float(np.pi / 6 * self.diameter**3 * self.spacing[2] / self.spacing[0]) * (self.labels.ndim == 3)


@dataclass(frozen=True)
class LabelledSet:
    """Images of one kind, read one by one. `model`: the bundled one that is made for them."""

    name: str
    model: str
    images: Iterator[Labelled]


def labelled_sets(folder: Path) -> Iterator[LabelledSet]:
    """Every set below `folder`: ``NAME/image.tif`` with ``labels.tif`` (z, y, x), folders of ``*_image.png`` with
    ``*_labels.png``, and ``NAME/labels.tif`` alone, which is rendered as cytoplasm and as membranes."""
    for labels in sorted(folder.rglob("labels.tif")):
        name = labels.parent.name
        if labels.with_name("image.tif").exists():
            yield LabelledSet(name, _model(name), _stack(labels.parent))
        else:
            yield from (LabelledSet(f"{name}-{kind}", "cyto", _rendered(labels, kind)) for kind in RENDERED)
    for inside in sorted({path.parent for path in folder.rglob("*_image.png")}):
        name = str(inside.relative_to(folder))
        yield LabelledSet(name, _model(name), _planes(inside))


def _model(name: str) -> str:
    return "nuclei" if "nuclei" in name else "cyto"


def _stack(folder: Path) -> Iterator[Labelled]:
    image, labels = (tifffile.imread(folder / f"{part}.tif") for part in ("image", "labels"))
    yield Labelled(folder.name, image[None], labels.astype(np.int32), SPACING.get(folder.name, CUBES))


def _rendered(labels: Path, kind: Kind) -> Iterator[Labelled]:
    truth = tifffile.imread(labels).astype(np.int32)
    spacing = SPACING.get(labels.parent.name, CUBES)
    yield Labelled(kind, render(truth, spacing, look=look_of(kind), seed=SEED), truth, spacing)


def _planes(folder: Path) -> Iterator[Labelled]:
    for path in sorted(folder.glob("*_image.png")):
        image, labels = imread(path), imread(path.with_name(path.name.replace("_image", "_labels")))
        if labels.any():
            stack = image[None, None] if image.ndim == 2 else np.moveaxis(image[..., :3], -1, 0)[:, None]
            yield Labelled(path.stem, stack, labels.astype(np.int32), channels=("grey",) if image.ndim == 3 else None)
