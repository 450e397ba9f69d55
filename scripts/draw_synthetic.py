"""Draw the pictures of docs/howto/synthetic.md, each from the code that stands below it on the page.

    python scripts/draw_synthetic.py [--only cone]

A picture shows the image and, beside it, the same with the true cells outlined; of a volume the middle plane and the
cut along z. Pictures go to docs/pictures.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np

from bigcell.core.axes import Spacing
from bigcell.core.volume import Array
from bigcell.report.colours import blend, outlines, resample, stretch
from bigcell.report.html import png

DOCS = Path(__file__).parents[1] / "docs"
FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
PICTURE = re.compile(r"!\[[^\]]*\]\(../pictures/([\w-]+)\.png\)\s+```python\n(.*?)```", re.DOTALL)
GREYS = 16
"""Levels of brightness in a picture: enough for an eye, and a third of the bytes of 256."""


def examples(page: str) -> dict[str, str]:
    """Code by the name of its picture; the first code of the page, its imports, goes before each."""
    first = FENCE.search(page)
    assert first is not None, "the page has no code"
    return {name: first.group(1) + code for name, code in PICTURE.findall(page)}


def run(code: str) -> tuple[Array, Array, Spacing]:
    """What `code` made: `made`, or `image` and `labels`, as (channel, z, y, x) and (z, y, x)."""
    names: dict[str, Any] = {}
    exec(code, names)
    if "made" in names:
        made = names["made"]
        return made.image, made.labels, made.spacing
    image, labels = names["image"], names["labels"]
    return image.reshape(len(image), -1, *image.shape[-2:]), labels.reshape(-1, *labels.shape[-2:]), Spacing()


def picture(image: Array, labels: Array, spacing: Spacing) -> Array:
    """uint8 RGB: panels side by side, two pixels to a voxel of y and x."""
    cuts = [(image[:, image.shape[1] // 2], labels[len(labels) // 2])]
    if len(labels) > 1:
        row = labels.shape[1] // 2
        tall = round(len(labels) * spacing.anisotropy)
        cuts.append((upright(image[:, :, row], tall), upright(labels[None, :, row], tall, order=0)[0]))
    limits = stretch([cut for cut, _ in cuts])
    panels = []
    for cut, ids in cuts:
        shape = (2 * cut.shape[1], 2 * cut.shape[2])
        seen = blend(np.stack([resample(c, cut.shape[1:], order=0) for c in cut]), limits, cut.shape[1:])
        large = np.round(resampled(seen, shape) * GREYS) / GREYS
        panels += [large, outlines(large, ids, width=1)]
    high = max(panel.shape[0] for panel in panels)
    white = [np.pad(p, ((0, high - len(p)), (0, 6), (0, 0)), constant_values=1) for p in panels]
    return np.asarray(np.rint(255 * np.concatenate(white, 1)[:, :-6]), np.uint8)


def upright(cut: Array, tall: int, order: int = 1) -> Array:
    """A cut (channel, z, x) with cubic voxels."""
    return np.stack([resample(c, (tall, cut.shape[2]), order=order) for c in cut])


def resampled(seen: Array, shape: tuple[int, int]) -> Array:
    return np.stack([resample(c, shape, order=0) for c in np.moveaxis(seen, 2, 0)], 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only pictures whose name has this in it")
    given = parser.parse_args()
    (DOCS / "pictures").mkdir(exist_ok=True)
    for name, code in examples((DOCS / "howto" / "synthetic.md").read_text()).items():
        if given.only in name:
            path = DOCS / "pictures" / f"{name}.png"
            path.write_bytes(png(picture(*run(code))))
            print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
