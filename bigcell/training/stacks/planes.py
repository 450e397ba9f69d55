"""Whole labelled planes of a stack, for validation: the same each time, one at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.training.stacks.labelled_planes import Example
from bigcell.training.stacks.stack import Stack, plane_image, plane_labels
from bigcell.training.stacks.views import View

LEAST = 0.02
"""Planes with a smaller part of cells are no example, as long as there are others."""
LARGEST = 1024
"""Pixels along an example, at most; larger planes are cut about their middle."""


def example_planes(stack: Stack, most: int) -> Iterator[Example]:
    """Up to `most` labelled planes of each view of each box, evenly spread, the same each time."""
    found = 0
    for least in (LEAST, 0.0):
        for box in stack.boxes:
            for view in stack.views(box):
                count = min(most, view.count)
                for i in range(count):
                    example = _example(stack, view, (2 * i + 1) * view.count // (2 * count), least)
                    if example is not None:
                        found += 1
                        yield example
        if found:
            return


def _example(stack: Stack, view: View, index: int, least: float) -> Example | None:
    """A plane of pixels, cut about its middle; None where less than the part `least` of it is cells."""
    starts = [max(0, (n - LARGEST) // 2) for n in view.shape]
    window = Box(tuple(starts), tuple(min(n, s + LARGEST) for n, s in zip(view.shape, starts, strict=True)))
    labels = plane_labels(stack, view, index, window).astype(np.int64)
    if not (labels > 0).mean() > least:
        return None
    labels = np.unique(np.append(labels.ravel(), 0), return_inverse=True)[1][:-1].reshape(window.shape)
    rows = view.rows(window.start[0], window.stop[0])
    first, last = int(rows[0]), int(np.ceil(rows[-1]))
    voxels = plane_image(stack, view, index, (first, last + 1), (window.start[1], window.stop[1]))
    image = _between_rows(voxels, rows - first)
    return Example(image, labels.astype(np.int32), stack.diameter, stack.invertible, stack.name)


def _between_rows(image: Array, rows: Array) -> Array:
    """`image` (c, h, w) at places `rows` along h, linear in between."""
    at = np.clip(rows, 0, image.shape[1] - 1)
    low = np.minimum(at.astype(np.int64), max(image.shape[1] - 2, 0))
    share = (at - low).astype(np.float32)[:, None]
    high = np.minimum(low + 1, image.shape[1] - 1)
    mixed: Array = image[:, low] * (1 - share) + image[:, high] * share
    return mixed
