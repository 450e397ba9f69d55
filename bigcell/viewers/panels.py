"""Panels of a picture: three cuts through a volume on one scale, objects outlined, written as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from bigcell.core.axes import ZYX, Spacing
from bigcell.core.errors import OutputError
from bigcell.core.paths import local_path
from bigcell.core.volume import Array
from bigcell.report.colours import blend, outlines, stretch

DPI = 120
LONG_SIDE = 1000  # pixels that the longer side of all panels together gets
GAP, MARGIN, TOP, NARROWEST = 12, 28, 58, 360
PAPER, INK, FAINT = "#101014", "#f2f2f2", "#9a9aa4"
HALO = [withStroke(linewidth=2.5, foreground="black", alpha=0.7)]


@dataclass(frozen=True)
class Plane:
    """One cut: image ``(channel, rows, columns)``, labels ``(rows, columns)``, and what it shows.

    `pixel` is the size of a pixel (rows, columns); `cut` is where the other planes cross it, in pixels.
    """

    name: str
    image: Array
    labels: Array
    pixel: tuple[float, float]
    cut: tuple[float, float] | None = None

    @property
    def size(self) -> tuple[float, float]:
        rows, columns = self.labels.shape
        return (rows * self.pixel[0], columns * self.pixel[1])


def orthogonal(images: Sequence[Array], labels: Sequence[Array], space: Spacing, at: Sequence[float]) -> list[Plane]:
    """The panels from the cuts across z, y and x: each image (channel, rows, columns), each labels (rows, columns).

    The cut across x arrives as (z, y) and is turned to (y, z), so that it can stand beside the xy panel.
    """
    (z, y, x), (pz, py, px) = (v + 0.5 for v in at), (space.x * space.over_x(a) for a in ZYX)
    if labels[1].shape[0] == 1:
        return [Plane("xy", images[0], labels[0], (py, px))]
    return [
        Plane("xy", images[0], labels[0], (py, px), (y, x)),
        Plane("zy", images[2].swapaxes(1, 2), labels[2].T, (py, pz), (y, z)),
        Plane("xz", images[1], labels[1], (pz, px), (z, x)),
    ]


def draw_planes(planes: Sequence[Plane], path: str | Path, *, title: str | None = None, bar: bool = True) -> Path:
    """Write the PNG: xy large, zy to its right, xz below it, all on one scale. `bar`: sizes are µm, so draw a bar."""
    height, width = planes[0].size
    depth = planes[1].size[1] if len(planes) > 1 else 0.0
    scale = LONG_SIDE / max(height + depth, width + depth)
    down, right = TOP + scale * height + GAP, MARGIN + scale * width + GAP
    corners = {"xy": (TOP, MARGIN), "zy": (TOP, right), "xz": (down, MARGIN)}
    total = (
        down + (scale * depth if depth else -GAP) + MARGIN,
        max(right + (scale * depth if depth else -GAP) + MARGIN, NARROWEST),
    )
    figure = Figure(figsize=(total[1] / DPI, total[0] / DPI), dpi=DPI, facecolor=PAPER)
    limits = stretch([plane.image for plane in planes])
    for plane in planes:
        shape = (max(1, round(scale * plane.size[0])), max(1, round(scale * plane.size[1])))
        top, left = corners[plane.name]
        box = (left / total[1], 1 - (top + shape[0]) / total[0], shape[1] / total[1], shape[0] / total[0])
        axes = _panel(figure.add_axes(box), plane, shape, limits)
        if bar and plane is planes[0]:
            _scale_bar(axes, shape, scale)
    seen = np.concatenate([plane.labels[plane.labels > 0].ravel() for plane in planes])
    about = f"{len(np.unique(seen))} objects in view"
    for y, size, colour, text in ((20, 11, INK, shorten(title or "Segmentation", 90)), (42, 8, FAINT, about)):
        figure.text(MARGIN / total[1], 1 - y / total[0], text, color=colour, fontsize=size, va="center")
    return _save(figure, local_path(path))


def _panel(axes: Any, plane: Plane, shape: tuple[int, int], limits: Array) -> Any:
    """One cut, `shape` pixels large, with faint lines where the other two cross it."""
    picture = outlines(blend(plane.image, limits, shape), plane.labels)
    axes.imshow(picture, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    if plane.cut is not None:
        row, column = (c * n / m - 0.5 for c, n, m in zip(plane.cut, shape, plane.labels.shape, strict=True))
        axes.axhline(row, color=INK, lw=0.6, alpha=0.35)
        axes.axvline(column, color=INK, lw=0.6, alpha=0.35)
    axes.text(8, 8, plane.name, color=INK, fontsize=8, va="top", path_effects=HALO)
    return axes


def _scale_bar(axes: Any, shape: tuple[int, int], scale: float) -> None:
    """A bar of a round number of µm, about a fifth of the width, at the lower right."""
    want = 0.2 * shape[1] / scale
    power = 10.0 ** floor(log10(want))
    length = max(n * power for n in (1, 2, 5) if n * power <= want * 1.001)
    right, y = shape[1] - 14, shape[0] - 14
    left = right - length * scale
    text = f"{length:g} µm" if length < 1000 else f"{length / 1000:g} mm"
    axes.plot([left, right], [y, y], color=INK, lw=2.5, solid_capstyle="butt", path_effects=HALO)
    axes.text((left + right) / 2, y - 6, text, color=INK, fontsize=8, ha="center", va="bottom", path_effects=HALO)


def _save(figure: Figure, path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        FigureCanvasAgg(figure).print_png(str(path))
    except OSError as error:
        raise OutputError(f"the picture {path} cannot be written ({error}); give a path you may write to") from error
    return path
