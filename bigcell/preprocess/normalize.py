"""Normalise intensities with numbers of the whole volume, so that every block sees the same image."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np

from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array
from bigcell.preprocess.levels import BLANK, LevelMap, apply_levels
from bigcell.preprocess.statistics import Ranges

Pair = tuple[float, float]
LARGEST_RADIUS = 128
FILLED = 1e38
SMALLEST_TILE, LARGEST_TILE = 16, 4096


@dataclass(frozen=True)
class NormalizeSettings:
    """How the intensities of the image become what the network sees; names, meanings and order are Cellpose's.

    First the channels are averaged into one if `grey`. Then either `lowhigh` (one pair for all channels, or one each)
    become 0 and 1; or the image is smoothed and sharpened plane by plane (radii are sigmas in voxels, 0: not), and the
    percentiles `percentile` of a channel become 0 and 1: those of the volume, of each plane (`norm3D` False), or of
    tiles of `tile_norm_blocksize` pixels, interpolated in between. At last 0 and 1 change places if `invert`.
    `fill_nan`: what a voxel that is NaN counts as, before all else (None: NaN is an error).
    `normalize` False leaves intensities as they are. `tile_norm_smooth3D`: sigma, in tiles along y, that the
    percentiles of tiles are smoothed with once more if `norm3D`.
    """

    normalize: bool = True
    lowhigh: tuple[Pair, ...] | None = None
    percentile: Pair = (1.0, 99.0)
    norm3D: bool = True  # noqa: N815 - Cellpose's word
    invert: bool = False
    sharpen_radius: float = 0.0
    smooth_radius: float = 0.0
    tile_norm_blocksize: int = 0
    tile_norm_smooth3D: float = 1.0  # noqa: N815
    grey: bool = False
    fill_nan: float | None = None

    def __post_init__(self) -> None:
        if self.fill_nan is not None and not abs(self.fill_nan) <= FILLED:
            raise SettingsError(f"fill_nan {self.fill_nan:g}: wanted a finite number, as in 0")
        lower, upper = self.percentile
        if not 0 <= lower < upper <= 100:
            raise SettingsError(
                f"percentiles {lower:g} and {upper:g}: wanted 0 <= lower < upper <= 100, as in 1 and 99"
            )
        for low, high in self.lowhigh or ():
            if not (isfinite(low) and isfinite(high) and low < high):
                raise SettingsError(f"lowhigh {low:g} and {high:g}: wanted two intensities, the darker one first")
        self._check_filter()
        self._check_tiles()
        self._check_together()

    def _check_filter(self) -> None:
        for name, radius in (("sharpen_radius", self.sharpen_radius), ("smooth_radius", self.smooth_radius)):
            if not 0 <= radius <= LARGEST_RADIUS:
                raise SettingsError(f"{name} {radius:g}: wanted 0 (off) up to {LARGEST_RADIUS} voxels")
        if 0 < self.sharpen_radius <= self.smooth_radius:
            raise SettingsError(
                f"sharpen_radius {self.sharpen_radius:g} is not above smooth_radius {self.smooth_radius:g}: "
                "wanted two to three times as much"
            )

    def _check_tiles(self) -> None:
        size = self.tile_norm_blocksize
        if size != 0 and not SMALLEST_TILE <= size <= LARGEST_TILE:
            raise SettingsError(
                f"tile_norm_blocksize {size}: wanted 0 (off), or {SMALLEST_TILE} to {LARGEST_TILE} pixels"
            )
        if not 0 <= self.tile_norm_smooth3D <= 100:
            raise SettingsError(f"tile_norm_smooth3D {self.tile_norm_smooth3D:g}: wanted 0 to 100 tiles")

    def _check_together(self) -> None:
        local = self.tile_norm_blocksize > 0
        filtered = self.sharpen_radius > 0 or self.smooth_radius > 0
        if not self.normalize and (self.invert or filtered or local or self.lowhigh is not None):
            raise SettingsError(
                "normalize is off, so invert, lowhigh, radii and tiles have no effect: leave them out, or normalise"
            )
        if self.lowhigh is not None and (filtered or local or not self.norm3D):
            raise SettingsError(
                "lowhigh fixes what is black and white, so radii, tiles and planes of their own have no effect: "
                "leave out either"
            )

    @property
    def by(self) -> Literal["nothing", "lowhigh", "volume", "plane", "tile"]:
        """What decides what becomes 0 and 1."""
        if not self.normalize:
            return "nothing"
        if self.lowhigh is not None:
            return "lowhigh"
        if self.tile_norm_blocksize:
            return "tile"
        return "volume" if self.norm3D else "plane"


def describe(settings: NormalizeSettings) -> str:
    """The settings in a line, for people.

    >>> describe(NormalizeSettings(percentile=(2, 98), smooth_radius=3, invert=True))
    'smoothed with 3; percentiles 2 and 98 of the volume become 0 and 1; inverted'
    """
    parts = [] if settings.fill_nan is None else [f"NaN counts as {settings.fill_nan:g}"]
    parts += ["mean of all channels"] if settings.grey else []
    parts += [f"smoothed with {settings.smooth_radius:g}"] if settings.smooth_radius else []
    parts += [f"less the surround of {settings.sharpen_radius:g}"] if settings.sharpen_radius else []
    low, high = settings.percentile
    planes = "" if settings.norm3D else " of each plane"
    of = {"volume": "the volume", "plane": "each plane", "tile": f"tiles of {settings.tile_norm_blocksize}{planes}"}
    if settings.by == "nothing":
        parts.append("as they are")
    elif settings.lowhigh is not None:
        parts.append(", ".join(f"{a:g} to {b:g}" for a, b in settings.lowhigh) + " become 0 to 1")
    else:
        parts.append(f"percentiles {low:g} and {high:g} of {of[settings.by]} become 0 and 1")
    return "; ".join(parts + (["inverted"] if settings.invert else []))


def settle(measured: Ranges) -> tuple[Array, Array]:
    """Black and white (regions,) of a channel, whose regions (the volume, or its planes) have these percentiles.

    Where the percentiles of a region coincide (it is nearly empty) its maximum is white instead. What is the same all
    over becomes 0: its white is `BLANK`.
    """
    low, high = measured.low.copy(), measured.high.copy()
    flat = high <= low
    bright = flat & (measured.most > low)
    high[bright] = measured.most[bright]
    dark = flat & ~bright
    low[dark] = measured.least[dark]
    high[dark & (measured.least == measured.most)] = BLANK
    return low, high


def constant(measured: Ranges) -> float | None:
    """The value of a channel that is the same all over; None for a channel with contrast."""
    least, most = float(measured.least.min()), float(measured.most.max())
    return least if least == most else None


def fixed_levels(settings: NormalizeSettings, channels: tuple[str, ...]) -> LevelMap | None:
    """The levels that need no look at the image: those of `lowhigh`; None without normalisation.

    Raises SettingsError if `lowhigh` has neither one pair nor one for each of the `channels`.
    """
    if settings.lowhigh is None:
        return None
    pairs = settings.lowhigh * len(channels) if len(settings.lowhigh) == 1 else settings.lowhigh
    if len(pairs) != len(channels):
        raise SettingsError(
            f"lowhigh has {len(pairs)} pairs for {len(channels)} channels ({', '.join(channels)}): "
            "wanted one for all, or one each"
        )
    low, high = np.array(pairs, np.float64).T
    return LevelMap.of_volume(low, high)


def normalize(image: Array, levels: LevelMap | None, start: tuple[int, int, int], *, invert: bool = False) -> Array:
    """`image` (c, z, y, x) as float32, each channel's black at 0 and white at 1 (or turned round), not clipped.

    `start` is the image's corner in the volume. No levels: intensities stay as they are.
    """
    if levels is None:
        return image.astype(np.float32)
    return apply_levels(image, levels, start, invert=invert)
