"""Which channels of an image are learned from: by number from 0 or by name, or the mean of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.names import find_channels, listed
from bigcell.core.volume import Array, Volume
from bigcell.preprocess.channels import GREY, grey

MAX_CHANNELS = 3
"""Channels that a network takes, at most."""


@dataclass(frozen=True)
class ChosenChannels:
    """The channels `indices` of a volume, in that order; without any, their mean."""

    volume: Volume
    indices: tuple[int, ...]

    @property
    def extent(self) -> tuple[int, int, int]:
        return self.volume.extent

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self.volume.channels[i] for i in self.indices) or (GREY,)

    @property
    def spacing(self) -> Spacing:
        return self.volume.spacing

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.volume.dtype if self.indices else np.dtype(np.float32)

    def read(self, box: Box) -> Array:
        """The voxels of `box`, ``(channel, z, y, x)``."""
        values = self.volume.read(box)
        return values[list(self.indices)] if self.indices else grey(values)


def choose_channels(volume: Volume, wanted: Sequence[int | str] | None, name: str) -> Volume:
    """`volume` with the channels `wanted`: what to segment, then nuclei if there are any; or ["grey"]: their mean.

    None: all, at most three. Raises InputError, naming `name`, for channels that are not there.
    """
    known = volume.channels
    told = listed(known)
    if wanted is None:
        if len(known) > MAX_CHANNELS:
            raise InputError(
                f"{name} has {len(known)} channels ({told}), wanted up to {MAX_CHANNELS}: choose some (channels)"
            )
        return volume
    if list(wanted) == [GREY] and GREY not in known:
        return ChosenChannels(volume, ())
    if not 1 <= len(wanted) <= MAX_CHANNELS or isinstance(wanted, str):
        raise InputError(f"channels {wanted!r}: wanted a list of one to {MAX_CHANNELS} of {told}, or ['{GREY}']")
    return ChosenChannels(volume, find_channels(known, wanted, name))
