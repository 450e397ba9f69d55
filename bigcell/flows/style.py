"""The styles of planes: what a network of Cellpose 1 to 3 says of the look of an image, for its size model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bigcell.core.volume import Array

_MULTIPLE = 16


def plane_styles(network: Any, image: Array) -> Array:
    """The style of each plane of `image` (channel, n, y, x), normalised float32, as a unit vector: float32 ``(n, k)``.

    `network` has a method `style`; channels that it wants and the image lacks are zero, as is what makes a plane's
    sides multiples of 16. On the CPU, one plane at a time.
    """
    channels, n, height, width = image.shape
    sides = [-(-size // _MULTIPLE) * _MULTIPLE for size in (height, width)]
    styles = []
    for i in range(n):
        tile = np.zeros((1, max(channels, network.channels), *sides), np.float32)
        tile[0, :channels, :height, :width] = image[:, i]
        with torch.inference_mode():
            styles.append(network.style(torch.from_numpy(tile)).numpy()[0])
    return np.stack(styles)
