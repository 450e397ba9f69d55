"""Channels as they come: the mean of all of them, and a search for voxels that are no numbers."""

from __future__ import annotations

import numpy as np
from numba import njit

from bigcell.core.volume import Array

GREY = "grey"
"""The name of the mean of all channels (Cellpose's channel 0)."""


def grey(image: Array) -> Array:
    """The mean of the channels of `image` (c, z, y, x): (1, z, y, x) float32.

    >>> grey(np.array([1, 2, 6], np.uint8).reshape(3, 1, 1, 1)).item()
    3.0
    """
    total = image[:1].astype(np.float32)
    for channel in image[1:]:
        total[0] += channel
    total /= np.float32(len(image))
    return total


def first_bad(image: Array) -> tuple[int, ...] | None:
    """Where the first NaN or infinity of `image` (as float32) lies; None if there is none.

    >>> first_bad(np.array([[0, 1], [np.inf, np.nan]]))
    (1, 0)
    """
    if image.dtype.kind != "f":
        return None
    with np.errstate(over="ignore"):  # what does not fit 32 bits becomes infinite, and is found
        values = np.ascontiguousarray(image, np.float32)
    found = int(_first_bad(values.reshape(-1).view(np.uint32)))
    return None if found < 0 else tuple(int(i) for i in np.unravel_index(found, image.shape))


@njit(cache=True, nogil=True)
def _first_bad(words):  # type: ignore[no-untyped-def]
    """The first float32, given as its bits, whose exponent is all ones: infinity or NaN."""
    full, step = np.uint32(0x7F800000), 4096
    for a in range(0, len(words), step):
        bad = False
        for i in range(a, min(a + step, len(words))):
            bad |= (words[i] & full) == full
        if bad:
            for i in range(a, min(a + step, len(words))):
                if (words[i] & full) == full:
                    return i
    return -1
