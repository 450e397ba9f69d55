"""Images that were lit too much or too little: what to say of their percentiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from bigcell.preprocess.statistics import Ranges

BITS = (8, 10, 12, 14, 16)
"""What cameras have; their largest number is where they are full."""
FEW = 16
"""Grey values between black and white, under which steps of a camera, and its noise, look like structure."""
SINGLE = 99.9
"""A percentile above this may be that of a few hot pixels."""


def exposure_notices(ranges: Ranges, name: str, dtype: np.dtype[Any], percentile: tuple[float, float]) -> list[str]:
    """Sentences about a channel of whole numbers, whose percentiles `ranges` has, of the volume or of each plane.

    >>> ranges = Ranges(*(np.array([v]) for v in (90.0, 4095.0, 80.0, 4095.0)))
    >>> exposure_notices(ranges, "dna", np.dtype("u2"), (1, 99))[0].partition(":")[0]
    "channel 'dna' is saturated"
    """
    if dtype.kind not in "iu" or percentile[1] > SINGLE:
        return []
    full = [2**bits - 1 for bits in BITS] + [np.iinfo(dtype).max]
    bright = ranges.most > ranges.least
    if (bright & (ranges.high >= ranges.most) & np.isin(ranges.most, full)).any():
        part, most = 100 - percentile[1], ranges.most.max()
        return [
            f"channel {name!r} is saturated: {part:g} % or more of its voxels are {most:g}, "
            "the most that the camera can tell; cells that touch may become one, so take images with less light"
        ]
    span = ranges.high - ranges.low
    if (span > 0).any() and span.max() < FEW:
        return [
            f"channel {name!r} is dark: percentiles {percentile[0]:g} and {percentile[1]:g} are {span.max():g} grey "
            "values apart, so noise may be taken for cells, or cells for noise; take images with more light"
        ]
    return []
