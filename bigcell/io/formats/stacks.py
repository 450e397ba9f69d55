"""Arrays whose axes must be told: which letter is which axis, and views of them as volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bigcell.core.axes import ZYX, Spacing
from bigcell.core.errors import AxesError, InputError
from bigcell.core.volume import Array, ArrayVolume
from bigcell.io.formats.axis_letters import FEW, INSIST, LETTERS, guessed_axes, odd_side

COLOURS = ("red", "green", "blue")
USUAL = {2: "yx", 3: "zyx", 4: "czyx"}
"""The axes of an image of so many dimensions that does not say them."""


@dataclass(frozen=True)
class Stack:
    """The shape of pixels at rest, with one letter an axis, what a channel is called and how large a voxel is.

    `samples`: what each sample of a colour pixel is called, None for those that are no signal (alpha); left out, all
    are.
    """

    axes: str
    shape: tuple[int, ...]
    spacing: Spacing
    channels: tuple[str, ...] = ()
    samples: tuple[str | None, ...] = ()

    def length(self, axis: str) -> int:
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def extent(self) -> tuple[int, int, int]:
        z, y, x = (self.length(a) for a in ZYX)
        return (z, y, x)

    @property
    def kept(self) -> list[int]:
        """The numbers of the samples that are channels."""
        return [i for i in range(self.length("s")) if not self.samples or self.samples[i] is not None]

    @property
    def is_view(self) -> bool:
        """Whether the channels are a view of the pixels, so that nothing is copied to see them as a volume."""
        return self.kept == list(range(len(self.kept))) and min(self.length("c"), len(self.kept)) == 1

    @property
    def names(self) -> tuple[str, ...]:
        """One name a channel: the file's where it has the right number, colours for RGB, else numbers."""
        kept = self.kept
        if len(self.channels) == self.length("c") * len(kept):
            return self.channels
        numbers = COLOURS if self.length("s") == 3 else tuple(str(i) for i in range(self.length("s")))
        samples = tuple(name for name in self.samples or numbers if name is not None)
        fit = len(self.channels) == self.length("c")
        channels = self.channels if fit else tuple(str(i) for i in range(self.length("c")))
        if len(kept) == 1:
            return channels
        return samples if self.length("c") == 1 else tuple(f"{c} {s}" for c in channels for s in samples)


class Stacked:
    """What a volume whose axes a stack names tells of itself."""

    stack: Stack

    @property
    def extent(self) -> tuple[int, int, int]:
        return self.stack.extent

    @property
    def channels(self) -> tuple[str, ...]:
        return self.stack.names

    @property
    def spacing(self) -> Spacing:
        return self.stack.spacing


def checked_axes(found: str, shape: Sequence[int], wanted: str | None, *, shown: str) -> str:
    """The axes of an array of `shape`: those the user `wanted`, else those `found` in the file if they are plain.

    A y or x that looks like channels is asked about, unless `wanted` ends in "!".

    >>> checked_axes("ZYX", (5, 60, 70), None, shown="a.tif")
    'zyx'
    """
    insisted = wanted is not None and wanted.endswith(INSIST)
    axes = (wanted or found).lower().removesuffix(INSIST)
    size = " x ".join(map(str, shape))
    guess = guessed_axes(found, shape)
    if wanted is None and not set(axes) <= set(LETTERS):
        raise AxesError(
            f"{shown} has shape {size}, and does not say what its axes are; give them, for example "
            f"axes={guess!r} (t time, c channel, z, y, x, s colour samples)"
        )
    if len(axes) != len(shape) or not set(axes) <= set(LETTERS) or len(set(axes)) < len(axes):
        raise InputError(
            f"{shown} has shape {size}, which axes={axes!r} do not fit; wanted one letter of {LETTERS} for each, "
            f"for example {guess!r}"
        )
    if not {"y", "x"} <= set(axes):
        raise InputError(f"{shown}: axes={axes!r} has no y and x; give both")
    if 0 in shape:
        raise InputError(f"{shown} has shape {size}, so it holds no voxel; give an image with at least one")
    odd = None if insisted else odd_side(axes, shape, found)
    if odd is not None:
        raise InputError(
            f"{shown} has shape {size}: with axes={axes!r}, {axes[odd]} is {shape[odd]} long; give "
            f"axes={guessed_axes(found, shape, odd)!r} if these are channels or colours, else {axes + INSIST!r}"
        )
    return axes


def check_usual(axes: str, shape: Sequence[int], *, shown: str) -> None:
    """AxesError for an array that says nothing of its axes, where its shape lets doubt that they are `axes`, the usual
    ones: few voxels stand last, or few planes second after many.

    >>> check_usual("zyx", (5, 60, 70), shown="the array")
    """
    doubt = ""
    if len(shape) in (3, 4) and shape[-1] <= FEW < min(shape[-3:-1]):
        doubt = "zyxc"[-len(shape) :]
    elif len(shape) == 4 and shape[1] <= FEW < shape[0]:
        doubt = "zcyx"
    if doubt:
        size = " x ".join(map(str, shape))
        sure = axes + INSIST if odd_side(axes, shape, axes) is not None else axes
        raise AxesError(
            f"{shown} has shape {size}, and does not say what its axes are; they may be {sure!r} or {doubt!r}: say "
            f"which, as in axes={doubt!r}"
        )


def check_dtype(kind: str, *, shown: str) -> None:
    """Numbers only: an InputError for anything that is not an integer, a float or a bool."""
    if kind not in "uifb":
        raise InputError(f"{shown} holds voxels of kind {kind!r}, wanted integers or floats; convert it first")


def array_volumes(array: Array, stack: Stack, *, shown: str) -> tuple[ArrayVolume, ...]:
    """`array`, whose axes `stack` names, as one volume a time point. Views where the stack `is_view`: a mapped file
    stays on disk."""
    check_dtype(array.dtype.kind, shown=shown)
    axes, view = stack.axes, array
    for letter in "tczyxs":
        if letter not in axes:
            axes, view = letter + axes, view[None]
    view = view.transpose([axes.index(a) for a in "tcszyx"])
    view = view[:, :, : len(stack.kept)] if stack.is_view else view[:, :, stack.kept]
    if view.shape[1] > 1 and view.shape[2] > 1:
        view = view.reshape(view.shape[0], -1, *view.shape[3:])
    else:
        view = view[:, 0] if view.shape[1] == 1 else view[:, :, 0]
    return tuple(ArrayVolume(v, spacing=stack.spacing, channels=stack.names) for v in view)
