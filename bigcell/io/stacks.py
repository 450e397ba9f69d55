"""Arrays whose axes must be told: which letter is which axis, and views of them as volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bigcell.core.axes import ZYX, Spacing
from bigcell.core.errors import InputError
from bigcell.core.volume import Array, ArrayVolume

LETTERS = "tczyxs"
"""Time, channel, z, y, x, and s: the samples of a colour pixel, which become channels."""
COLOURS = ("red", "green", "blue")
FEW = 4
"""A last axis this short may be channels; the second of four, too."""


@dataclass(frozen=True)
class Stack:
    """The shape of pixels at rest, with one letter an axis, what a channel is called and how large a voxel is."""

    axes: str
    shape: tuple[int, ...]
    spacing: Spacing
    channels: tuple[str, ...] = ()

    def length(self, axis: str) -> int:
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def extent(self) -> tuple[int, int, int]:
        z, y, x = (self.length(a) for a in ZYX)
        return (z, y, x)

    @property
    def names(self) -> tuple[str, ...]:
        """One name a channel: the file's where it has the right number, colours for RGB, else numbers."""
        count = self.length("c") * self.length("s")
        if len(self.channels) == count:
            return self.channels
        return COLOURS if self.length("s") == count == 3 else tuple(str(i) for i in range(count))


def checked_axes(found: str, shape: Sequence[int], wanted: str | None, *, shown: str) -> str:
    """The axes of an array of `shape`: those the user `wanted`, else those `found` in the file if they are plain.

    >>> checked_axes("ZYX", (5, 60, 70), None, shown="a.tif")
    'zyx'
    """
    axes = (wanted or found).lower()
    size = " x ".join(map(str, shape))
    if wanted is None and not set(axes) <= set(LETTERS):
        raise InputError(
            f"{shown} has shape {size}, and does not say what its axes are; give them, for example "
            f"axes={_guess(shape)!r} (t time, c channel, z, y, x, s colour samples)"
        )
    if len(axes) != len(shape) or not set(axes) <= set(LETTERS) or len(set(axes)) < len(axes):
        raise InputError(
            f"{shown} has shape {size}, which axes={axes!r} do not fit; wanted one letter of {LETTERS} for each, "
            f"for example {_guess(shape)!r}"
        )
    if not {"y", "x"} <= set(axes):
        raise InputError(f"{shown}: axes={axes!r} has no y and x; give both")
    if 0 in shape:
        raise InputError(f"{shown} has shape {size}, so it holds no voxel; give an image with at least one")
    return axes


def check_dtype(kind: str, *, shown: str) -> None:
    """Numbers only: an InputError for anything that is not an integer, a float or a bool."""
    if kind not in "uifb":
        raise InputError(f"{shown} holds voxels of kind {kind!r}, wanted integers or floats; convert it first")


def array_volumes(array: Array, stack: Stack, *, shown: str) -> tuple[ArrayVolume, ...]:
    """`array`, whose axes `stack` names, as one volume a time point. Views: a mapped file stays on disk."""
    check_dtype(array.dtype.kind, shown=shown)
    axes, view = stack.axes, array
    for letter in "tczyxs":
        if letter not in axes:
            axes, view = letter + axes, view[None]
    view = view.transpose([axes.index(a) for a in "tcszyx"])
    if view.shape[1] > 1 and view.shape[2] > 1:
        view = view.reshape(view.shape[0], -1, *view.shape[3:])
    else:
        view = view[:, 0] if view.shape[1] == 1 else view[:, :, 0]
    return tuple(ArrayVolume(v, spacing=stack.spacing, channels=stack.names) for v in view)


def doubtful_axes(shape: Sequence[int]) -> str:
    """Axes with channels that an array of this shape may well have instead of the usual ones; "" for none.

    >>> doubtful_axes((70, 60, 3)), doubtful_axes((12, 2, 64, 64)), doubtful_axes((12, 64, 64))
    ('yxc', 'zcyx', '')
    """
    if len(shape) in (3, 4) and shape[-1] <= FEW < min(shape[-3:-1]):
        return "zyxc"[-len(shape) :]
    return "zcyx" if len(shape) == 4 and shape[1] <= FEW < shape[0] else ""


def _guess(shape: Sequence[int]) -> str:
    return doubtful_axes(shape) or {2: "yx", 3: "zyx", 4: "zcyx", 5: "tzcyx"}.get(len(shape), "tzcyxs")
