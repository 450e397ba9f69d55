"""Volume: an image at rest that is read box by box, and the one that lives in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]
"""Any numpy array: shapes and dtypes stand in the docstrings, since the type system cannot say them."""


class Volume(Protocol):
    """Channels of voxels over ``extent`` (z, y, x). `read` is the only call that touches voxels. Picklable."""

    @property
    def extent(self) -> tuple[int, int, int]: ...
    @property
    def channels(self) -> tuple[str, ...]: ...
    @property
    def spacing(self) -> Spacing: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...

    def read(self, box: Box) -> Array:
        """The voxels of `box`, ``(channel, z, y, x)`` in the volume's dtype. A box outside raises ValueError."""
        ...


def check_inside(box: Box, extent: tuple[int, int, int]) -> None:
    """Refuse a box that passes a face of a volume: slices would cut it short, or count from the end, in silence.

    >>> check_inside(Box((0, 0, 0), (2, 2, 2)), (2, 2, 2))
    """
    if box not in Box.of(extent):
        raise InputError(
            f"the box {box.start}..{box.stop} is outside the volume of extent {extent} (z, y, x): cut it to that first"
        )


@dataclass(frozen=True)
class ArrayVolume:
    """A volume in memory: array of shape (y, x), (z, y, x) or (channel, z, y, x).

    >>> ArrayVolume(np.zeros((5, 7))).extent
    (1, 5, 7)
    """

    array: Array = field(repr=False)
    spacing: Spacing = field(default_factory=lambda: Spacing(known=False))
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        a = np.asarray(self.array)
        if not 2 <= a.ndim <= 4:
            raise InputError(
                f"an array of {a.ndim} dimensions was given; wanted (y, x), (z, y, x) or (channel, z, y, x)"
            )
        if a.size == 0:
            raise InputError(f"the array has shape {a.shape}, so it holds no voxel; give one with at least one")
        if a.dtype.kind not in "uifb":
            raise InputError(f"the array has dtype {a.dtype}; wanted integers or floats")
        if a.dtype.kind == "b":
            a = a.astype(np.uint8)
        a = a.reshape((1,) * (4 - a.ndim) + a.shape)
        object.__setattr__(self, "array", a)
        names = self.channels or tuple(str(i) for i in range(len(a)))
        if len(names) != len(a):
            raise InputError(f"{len(names)} channel names were given for {len(a)} channels; give one name each")
        object.__setattr__(self, "channels", tuple(names))

    @property
    def extent(self) -> tuple[int, int, int]:
        z, y, x = self.array.shape[1:]
        return (z, y, x)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the array, in the machine's byte order: files mapped into memory may have the other one."""
        return self.array.dtype.newbyteorder("=")

    def read(self, box: Box) -> Array:
        check_inside(box, self.extent)
        return self.array[(slice(None), *box.slices)].astype(self.dtype, copy=False)
