"""What is kept from training to look at how good it is: whole images, or a slab of a volume behind a gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil

from bigcell.core.box import Box
from bigcell.core.errors import SettingsError

AXES = ("z", "y", "x")


@dataclass(frozen=True)
class SplitSettings:
    """The part `validation` of the images, or of a volume along `axis` (None: its longest), is not trained on.

    `gap`: voxels along that axis between the two, at least a diameter of the cells (None: two). `seed` decides which
    images they are.
    """

    validation: float = 0.1
    gap: int | None = None
    axis: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.validation, int | float) or not 0 <= self.validation < 1:
            raise SettingsError(f"validation {self.validation!r}: wanted a part from 0 to below 1, such as 0.1")
        if self.axis is not None and self.axis not in AXES:
            raise SettingsError(f"axis {self.axis!r}: wanted z, y or x")
        if self.gap is not None and (not isinstance(self.gap, int) or self.gap < 0):
            raise SettingsError(f"gap {self.gap!r}: wanted voxels, from 0")


def split_names(names: Sequence[str], settings: SplitSettings) -> tuple[list[int], list[int]]:
    """Places in `names` of what is trained on, and of what is not.

    A name and the seed alone decide, so that images that are added move none to the other side. Of two or more, at
    least one is on each.

    >>> split_names(["a", "b", "c"], SplitSettings(0.0))
    ([0, 1, 2], [])
    """
    if not settings.validation or len(names) < 2:
        return list(range(len(names))), []
    ranks = [_rank(name, settings.seed) for name in names]
    kept = [i for i, rank in enumerate(ranks) if rank < settings.validation]
    if not kept:
        kept = [min(range(len(names)), key=ranks.__getitem__)]
    if len(kept) == len(names):
        kept.remove(max(kept, key=ranks.__getitem__))
    chosen = set(kept)
    return [i for i in range(len(names)) if i not in chosen], kept


def split_box(
    extent: Sequence[int], settings: SplitSettings, *, diameter: float, anisotropy: float = 1.0
) -> tuple[Box, Box | None]:
    """The part of a volume that is trained on, and the slab at its end that is not; None where nothing is kept.

    Raises SettingsError where the gap is less than a `diameter` (in voxels along x), or nothing is left.
    """
    whole = Box.of(extent)
    if not settings.validation:
        return whole, None
    lengths = [extent[0] * anisotropy, *extent[1:]]
    axis = AXES.index(settings.axis) if settings.axis else max(range(3), key=lengths.__getitem__)
    voxels = diameter / (anisotropy if axis == 0 else 1.0)
    gap = ceil(2 * voxels) if settings.gap is None else settings.gap
    if gap < voxels:
        raise SettingsError(
            f"gap {gap}: cells reach over {ceil(voxels)} voxels along {AXES[axis]}; wanted at least as many"
        )
    slab = max(1, round(settings.validation * extent[axis]))
    left = extent[axis] - slab - gap
    if left < 1:
        raise SettingsError(
            f"{extent[axis]} voxels along {AXES[axis]} leave none to train on beside {slab} of validation and a gap of "
            f"{gap}; split along another axis, or give validation data of their own"
        )
    return _along(whole, axis, 0, left), _along(whole, axis, left + gap, extent[axis])


def _rank(name: str, seed: int) -> float:
    """A number from 0 to below 1 that looks random."""
    return int.from_bytes(blake2b(f"{seed}:{name}".encode(), digest_size=8).digest(), "big") / 2**64


def _along(box: Box, axis: int, start: int, stop: int) -> Box:
    starts, stops = list(box.start), list(box.stop)
    starts[axis], stops[axis] = start, stop
    return Box(tuple(starts), tuple(stops))
