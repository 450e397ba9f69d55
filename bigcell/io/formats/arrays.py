"""Arrays as volumes, of whatever library: NumPy, dask, zarr, xarray, torch, nested lists, ..."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from bigcell.core.arrays import in_memory, is_lazy, native, reachable
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import ChunkError, InputError, SettingsError
from bigcell.core.format import shape as told
from bigcell.core.processes.sending import dumps
from bigcell.core.volume import Array, Volume, check_inside
from bigcell.io.formats.axis_letters import INSIST
from bigcell.io.formats.named_axes import channel_names, letters_of, spacing_of
from bigcell.io.formats.stacks import USUAL, Stack, Stacked, array_volumes, check_usual, checked_axes

ArraySource = ArrayLike | Volume
"""An array of any library, nested lists of numbers, or a volume."""
FLOWS = {2: "yx", 3: "cyx", 4: "czyx"}


@dataclass(frozen=True)
class LazyVolume(Stacked):
    """One time point of an array that is read box by box. `array` is anything with a shape that slices cut."""

    array: Any = field(repr=False)
    stack: Stack
    dtype: np.dtype[Any]
    time: int = 0

    def read(self, box: Box) -> Array:
        """The voxels of `box`, ``(channel, z, y, x)``."""
        check_inside(box, self.extent)
        axes = self.stack.axes
        pick = dict(zip("zyx", box.slices, strict=True)) | {"t": slice(self.time, self.time + 1)}
        try:
            values = in_memory(self.array[tuple(pick.get(a, slice(None)) for a in axes)])
        except Exception as error:  # each library has errors of its own
            raise ChunkError(f"the voxels {box.start}..{box.stop} of an array cannot be read: {error}") from error
        values = values.transpose([axes.index(a) for a in "tcszyx" if a in axes])
        return np.ascontiguousarray(values.reshape(len(self.channels), *box.shape), dtype=self.dtype)


def is_volume(source: object) -> TypeGuard[Volume]:
    """Whether it is a volume already, of ours or of the user's own class."""
    return all(hasattr(source, name) for name in ("extent", "channels", "spacing", "dtype", "read"))


def as_volume(
    source: ArraySource, *, axes: str | None = None, usual: Mapping[int, str] = USUAL, coloured: bool = False
) -> Volume:
    """`source` as one volume; nothing is read of an array that can be read box by box, but its first voxel.

    `axes`, a letter each ("zyxc"), or the names of its own dimensions, say which axis is which; without either it has
    the `usual` ones, and if it may be `coloured` one whose last axis could be channels is refused.
    """
    volumes = as_volumes(source, axes=axes, usual=usual, coloured=coloured)
    if len(volumes) != 1:
        raise InputError(f"the array has {len(volumes)} time points, wanted one: cut it along its axis t")
    return volumes[0]


def as_volumes(
    source: ArraySource,
    *,
    axes: str | None = None,
    spacing: Spacing | None = None,
    usual: Mapping[int, str] = USUAL,
    coloured: bool = False,
) -> tuple[Volume, ...]:
    """As `as_volume`, one volume a time point. `spacing` stands in where the array has none."""
    if is_volume(source):
        if axes is not None:
            raise SettingsError(f"axes={axes!r} are of arrays, and a volume says itself which is which; leave axes out")
        return (source,)
    array = reachable(source)
    array = array if is_lazy(array) else in_memory(array)
    lengths = tuple(int(n) for n in array.shape)
    if 0 in lengths:
        raise InputError(f"the array has shape {told(lengths)}, so it holds no voxel; give one with at least one")
    dtype = native(_first(array).dtype)
    letters = _letters(array, lengths, axes, usual, coloured)
    size = spacing or spacing_of(array, letters)
    stack = Stack(letters, lengths, size, channel_names(array, letters))
    if isinstance(array, np.ndarray):
        return array_volumes(array, stack, shown="the array")
    return tuple(LazyVolume(array, stack, dtype, t) for t in range(stack.length("t")))


def check_sendable(volume: Volume | None) -> None:
    """Refuse an array that cannot reach other processes."""
    try:
        dumps(volume if isinstance(volume, LazyVolume) else None)
    except Exception as error:  # each library has errors of its own
        raise InputError(
            f"the array cannot be sent to other processes ({error}); take cluster='serial', or write it to an OME-Zarr"
        ) from error


def _letters(array: Any, lengths: tuple[int, ...], axes: str | None, usual: Mapping[int, str], coloured: bool) -> str:
    size = told(lengths)
    found = None if axes is not None else letters_of(array)
    if axes is None and found is None:
        found = usual.get(len(lengths))
        if found is None:
            raise InputError(
                f"an array of {len(lengths)} dimensions was given ({size}); wanted (y, x), (z, y, x) or "
                "(channel, z, y, x): say which axis is which, as in axes='tczyx'"
            )
        if coloured:
            check_usual(found, lengths, shown="the array")
    if not coloured:  # a short last axis of labels or flows is no colour
        axes = f"{(axes or found or '').removesuffix(INSIST)}{INSIST}"
    return checked_axes(found or "", lengths, axes, shown="the array")


def _first(array: Any) -> Array:
    """The first voxel; only its dtype where a graph would have to be computed for it."""
    if getattr(array, "__dask_graph__", None) is not None:
        return np.zeros(0, array.dtype)
    return in_memory(array[(slice(0, 1),) * len(array.shape)])
