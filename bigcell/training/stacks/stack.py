"""Stack: one image with its labels, checked and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Array, Volume
from bigcell.io.labels.training_targets import KeptTargets, kept_beside
from bigcell.preprocess.levels import BLANK, LevelMap, apply_levels
from bigcell.training.stacks.measure import measure_diameter, measure_levels, read_labels
from bigcell.training.stacks.views import Pair, View, read_plane, views_of

LARGE = 1 << 28
"""Bytes of targets of a volume above which they are kept on disk."""


@dataclass(frozen=True)
class Reading:
    """How images are read: `channels` as `choose_channels` takes them, `anisotropy` and `diameter` where files or
    labels say it wrong, `invertible` for bright field and phase contrast, `empty`: images without a cell are meant."""

    channels: tuple[int | str, ...] | None = None
    anisotropy: float | None = None
    diameter: float | None = None
    invertible: bool = False
    empty: bool = False


@dataclass(frozen=True)
class Stack:
    """A volume, or a plane, with its labels: nothing is read before it is drawn from.

    `boxes` are annotated; voxels outside of `bounds` are never read. `levels`: black and white. `diameter` of the cells
    in voxels along x, `cells` how many there are; `anisotropy`: how many times voxels are longer along z. `kept`: where
    targets are kept on disk.
    """

    name: str
    image: Volume = field(repr=False)
    labels: Volume = field(repr=False)
    levels: LevelMap = field(repr=False)
    diameter: float
    boxes: tuple[Box, ...]
    bounds: Box
    cells: int
    anisotropy: float = 1.0
    invertible: bool = False
    kept: KeptTargets | None = field(repr=False, default=None)

    @property
    def channels(self) -> int:
        return len(self.image.channels)

    def views(self, box: Box) -> tuple[View, ...]:
        return views_of(box, self.anisotropy, self.diameter)


def check_pair(name: str, image: Volume, labels: Volume, boxes: Sequence[Box] = ()) -> None:
    """InputError, naming `name`, unless `labels` can be those of `image` and `boxes` lie in it. Reads no voxel."""
    if len(labels.channels) != 1:
        raise InputError(
            f"{name}: labels have {len(labels.channels)} channels; wanted one, with a number for each cell"
        )
    if labels.extent != image.extent:
        raise InputError(
            f"{name}: the image has extent {image.extent} (z, y, x), its labels {labels.extent}; wanted the same: are "
            "they those of another image, or of another level?"
        )
    for box in boxes:
        if len(box.start) != 3 or box.is_empty or box not in Box.of(image.extent):
            raise InputError(
                f"{name}: box {box.start}..{box.stop} does not lie in the volume of extent {image.extent}; "
                "wanted z0, z1, y0, y1, x0, x1 within it, each end above its start"
            )


def make_stack(
    name: str,
    image: Volume,
    labels: Volume,
    reading: Reading,
    *,
    boxes: Sequence[Box] = (),
    bounds: Box | None = None,
    kept_at: str | None = None,
) -> Stack:
    """Check and measure an image and its labels: voxels within `bounds` (all), labels within `boxes` (the bounds).

    The diameter is the median of the cells', nan without any; the anisotropy that of the image's voxels, where known.
    Targets are kept beside the labels `kept_at`. Raises InputError, naming `name`, for what cannot be learned from.
    """
    check_pair(name, image, labels, boxes)
    bounds = bounds or Box.of(image.extent)
    inside = tuple(part for box in boxes or (bounds,) if not (part := box & bounds).is_empty)
    anisotropy, spacing = reading.anisotropy, image.spacing
    if anisotropy is None:
        anisotropy = spacing.anisotropy if image.extent[0] > 1 else 1.0
    levels = measure_levels(image, bounds, name)
    found, cells = measure_diameter(labels, inside, anisotropy=anisotropy, name=name)
    if cells and levels.high[0].item() == BLANK:
        raise InputError(
            f"{name}: the image is the same all over, its labels hold {cells} cells; wanted contrast: is it "
            "the right channel (channels)?"
        )
    return Stack(
        name,
        image,
        labels,
        levels,
        reading.diameter or found,
        inside,
        bounds,
        cells,
        anisotropy,
        reading.invertible,
        _kept(kept_at, inside, bounds, anisotropy),
    )


def restricted(stack: Stack, bounds: Box, name: str, *, kept_at: str | None = None) -> Stack:
    """The part of `stack` within `bounds`, with the intensities and the diameter of all of it.

    Raises InputError, naming `name`, where nothing in them is annotated.
    """
    boxes = tuple(part for box in stack.boxes if not (part := box & bounds).is_empty)
    if not boxes:
        raise InputError(
            f"{name}: nothing within {bounds.start}..{bounds.stop} is annotated; choose another axis or part to split "
            "by, or give validation data of their own"
        )
    kept = _kept(kept_at, boxes, bounds, stack.anisotropy)
    return replace(stack, name=name, boxes=boxes, bounds=bounds, kept=kept)


def _kept(labels: str | None, boxes: tuple[Box, ...], bounds: Box, anisotropy: float) -> KeptTargets | None:
    """Targets are kept on disk where they would not fit in memory: 8 bytes a pixel, in three views."""
    size = 24 * anisotropy * sum(box.size for box in boxes)
    return kept_beside(labels, repr((boxes, bounds, anisotropy))) if labels is not None and size > LARGE else None


def plane_labels(stack: Stack, view: View, index: int, window: Box) -> Array:
    """Labels (rows, columns) of the pixels `window` of plane `index` of a view."""
    rows = np.floor(view.rows(window.start[0], window.stop[0]) + 0.5).astype(np.int64)
    box = view.voxels(index, (int(rows[0]), int(rows[-1]) + 1), (window.start[1], window.stop[1]))
    plane = read_labels(stack.labels, box, stack.name).take(0, axis=view.axis)
    labels: Array = plane[rows - rows[0]]
    return labels


def plane_image(stack: Stack, view: View, index: int, rows: Pair, columns: Pair) -> Array:
    """`rows` and `columns` of voxels of plane `index` of a view, counted from its box, black at 0 and white at 1:
    float32 ``(channel, h, w)``."""
    voxels = read_plane(stack.image, view, index, rows, columns)
    lit: Array = apply_levels(voxels[:, None], stack.levels, (0, 0, 0))[:, 0]
    return lit
