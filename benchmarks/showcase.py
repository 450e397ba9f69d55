"""Pictures of what a model found: the best, the median and the worst image of a set, with true and found outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bigcell.core.box import Box
from bigcell.report.colours import blend, outlines, stretch

SIDE = 320
"""Pixels of the longer side of a panel; of planes with more than `MOST`, the middle is shown."""
MOST, DPI = 512, 80


@dataclass(frozen=True)
class Shown:
    """A plane: `image` (c, y, x), and labels (y, x); `f1` is that of the whole image."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    found: np.ndarray
    f1: float


def chosen(shown: Sequence[Shown]) -> list[tuple[str, Shown]]:
    """The best, the median and the worst, with these words; the only one, if it is alone."""
    order = sorted(shown, key=lambda one: (-one.f1, one.name))
    if len(order) < 3:
        return [("", one) for one in order]
    return [("best: ", order[0]), ("median: ", order[len(order) // 2]), ("worst: ", order[-1])]


def write_showcase(shown: Sequence[Shown], path: Path) -> Path:
    """Write the picture as a JPEG: a row for each image; the image, its true outlines, those found."""
    rows = chosen(shown)
    figure = Figure(figsize=(3 * SIDE / DPI, len(rows) * (SIDE + 24) / DPI), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), 3, squeeze=False)
    for line, (word, one) in zip(axes, rows, strict=True):
        counts = [len(np.unique(labels[labels > 0])) for labels in (one.truth, one.found)]
        titles = (f"{word}F1 {one.f1:.2f}", f"{counts[0]} true", f"{counts[1]} found")
        for panel, picture, title in zip(line, panels(one), titles, strict=True):
            panel.imshow(picture)
            panel.set_title(title, fontsize=9)
            panel.set_axis_off()
    figure.savefig(path, pil_kwargs={"quality": 82})
    return path


def panels(one: Shown) -> list[np.ndarray]:
    """The plane, with its true outlines, and with those found: RGB 0..1."""
    cut = Box.middle(one.truth.shape, (MOST, MOST))
    image = one.image[(slice(None), *cut.slices)]
    height, width = (max(1, round(n * SIDE / max(cut.shape))) for n in cut.shape)
    base = blend(image, stretch([image]), (height, width))
    return [base, *(outlines(base, labels[cut.slices], width=1) for labels in (one.truth, one.found))]
