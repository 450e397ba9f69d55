"""Which objects stay, and their final numbers: 1..N in the raster order of their sinks, whatever the blocks were.

Raster order runs along the first axis that is longer than a voxel, so one layer of blocks along it can be numbered on
its own, and all that is global is one running total over layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bigcell.core.errors import SettingsError
from bigcell.stitch.pieces import Pieces


@dataclass(frozen=True)
class SizeSettings:
    """Objects under `min_size` voxels are dropped, and those over `max_size` (0: no limit)."""

    min_size: int = 15
    max_size: int = 0

    def __post_init__(self) -> None:
        if self.min_size < 0 or self.max_size < 0 or 0 < self.max_size < self.min_size:
            raise SettingsError(
                f"min_size {self.min_size}, max_size {self.max_size}: wanted 0 <= min_size <= max_size (0: no limit)"
            )


def keep_sized(objects: Pieces, settings: SizeSettings) -> Pieces:
    """The objects within the size limits."""
    fits = objects.voxels >= settings.min_size
    if settings.max_size:
        fits &= objects.voxels <= settings.max_size
    return objects.take(fits)


def smallest_dtype(count: int) -> np.dtype[np.unsignedinteger]:
    """uint32 if ids up to `count` fit, else uint64."""
    return np.dtype(np.uint32 if count < 2**32 else np.uint64)
