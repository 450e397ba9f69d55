"""Normalise intensities with numbers of the whole volume, so that every block sees the same image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bigcell.core.errors import InputError, SettingsError
from bigcell.core.volume import Array
from bigcell.preprocess.statistics import ChannelRange


@dataclass(frozen=True)
class NormalizeSettings:
    """The percentiles of a channel that become 0 and 1 (Cellpose's defaults)."""

    lower: float = 1.0
    upper: float = 99.0

    def __post_init__(self) -> None:
        if not 0 <= self.lower < self.upper <= 100:
            raise SettingsError(
                f"percentiles {self.lower} and {self.upper}: wanted 0 <= lower < upper <= 100, as in 1 and 99"
            )


@dataclass(frozen=True)
class Levels:
    """The intensities that become 0 and 1 in one channel."""

    black: float
    white: float


def settle(measured: ChannelRange, channel: str) -> Levels:
    """Levels of a channel. Where the percentiles coincide (a nearly empty volume) the maximum is white instead.

    Raises InputError for a constant channel.
    """
    if measured.minimum == measured.maximum:
        raise InputError(
            f"channel {channel!r} is {measured.minimum:g} everywhere; wanted an image with contrast: "
            "check the file, the channel and the time point"
        )
    if measured.high > measured.low:
        return Levels(measured.low, measured.high)
    if measured.maximum > measured.low:
        return Levels(measured.low, measured.maximum)
    return Levels(measured.minimum, measured.high)


def normalize(image: Array, levels: Sequence[Levels]) -> Array:
    """`image` (c, z, y, x) as float32 with each channel's black at 0 and white at 1, not clipped."""
    out = image.astype(np.float32)
    for channel, level in zip(out, levels, strict=True):
        channel -= np.float32(level.black)
        channel *= np.float32(1.0 / (level.white - level.black))
    return out
