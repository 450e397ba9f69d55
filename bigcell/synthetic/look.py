"""How an image of cells comes about, as settings: dyes, optics, the light on its way, what else glows, the camera.

Levels are counts of the camera. Lengths are parts of a typical cell's diameter, so that a look fits cells of any size;
only `Optics.psf_um` is in µm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from bigcell.core.errors import SettingsError

ENDLESS = float("inf")


def check_ranges(settings: Any, **ranges: tuple[float, float]) -> None:
    """Raise SettingsError for the first field of `settings` that is below, above or not a number."""
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        if not (low <= value <= high and value < ENDLESS):
            most = "upwards" if high == ENDLESS else f"to {high:g}"
            raise SettingsError(f"{type(settings).__name__}: {name} is {value}; wanted a number from {low:g} {most}")


@dataclass(frozen=True)
class Stain:
    """What a dye makes of a cell. `name` is the channel's.

    `body`: counts inside. `rim`: counts at the border, below `body` for dark seams, above for a membrane stain; None
    where the border is like the rest. `nucleus`: brightness of the nucleus, as a part of `body`. `texture`: contrast of
    the grain inside, `grain` its size. `spread`: how much cells differ in brightness (sigma of the logarithm).
    """

    name: str = "cells"
    body: float = 700.0
    rim: float | None = None
    rim_width: float = 0.08
    nucleus: float = 1.0
    texture: float = 0.2
    grain: float = 0.12
    spread: float = 0.25

    def __post_init__(self) -> None:
        zero = (0.0, ENDLESS)
        check_ranges(self, body=zero, rim_width=zero, nucleus=zero, texture=zero, spread=(0, 3), grain=(0.01, ENDLESS))
        if self.rim is not None:
            check_ranges(self, rim=zero)

    @property
    def brightest(self) -> float:
        """Counts of its brightest part."""
        return max(self.body, self.body * self.nucleus, self.rim or 0.0)


CYTOPLASMIC = Stain(rim=250.0, nucleus=0.6)
"""Bright bodies with dark seams and darker nuclei."""
MEMBRANE = Stain(body=150.0, rim=900.0, rim_width=0.06, nucleus=0.7)
"""Bright borders around dim bodies."""
NUCLEAR = Stain(name="nuclei")
"""Nuclei without seams."""


@dataclass(frozen=True)
class Optics:
    """Where the light of a point goes.

    `blur`: sigma of a Gaussian in y and x, `blur_z` times as wide along z; or `psf_um`, the sigmas (z, y, x) in µm,
    instead of both. `haze`: the part of the light that is scattered half a cell wide. `cone`: the part that is out of
    focus; it spreads by `cone_slope` for each length that it goes along z, and has faded to 1/e after `cone_depth`
    (a wide-field microscope: much, far; a confocal one: little, near).
    """

    blur: float = 0.03
    blur_z: float = 2.0
    psf_um: tuple[float, float, float] | None = None
    haze: float = 0.0
    cone: float = 0.0
    cone_slope: float = 0.5
    cone_depth: float = 1.0

    def __post_init__(self) -> None:
        part, zero = (0.0, 1.0), (0.0, ENDLESS)
        check_ranges(self, blur=zero, blur_z=zero, haze=part, cone=part, cone_slope=(0, 10), cone_depth=(0.01, 100))
        if self.psf_um is not None and not (len(self.psf_um) == 3 and all(0 <= s < ENDLESS for s in self.psf_um)):
            raise SettingsError(f"Optics: psf_um is {self.psf_um}; wanted three sigmas z, y, x in µm from 0 upwards")


@dataclass(frozen=True)
class PhaseContrast:
    """Cells that are seen by what they do to the light, not by light of their own: dark bodies with a bright halo.

    What a stain says is then how much darker a cell is. `halo`: the part of the missing light that is found around the
    cell, within about `width`.
    """

    halo: float = 1.0
    width: float = 0.3

    def __post_init__(self) -> None:
        check_ranges(self, halo=(0, 3), width=(0.01, 10))


@dataclass(frozen=True)
class Light:
    """What happens to the light before it is seen.

    `uneven`: contrast of slow changes over the field. `attenuation`: what a diameter of depth takes (1 leaves 1/e;
    plane 0 is the surface). `bleaching`: the part that is lost from the first plane to the last. `stripes`: how deep
    the shadows of a light sheet are, `stripe_width` their width, `stripe_axis` the axis along which they run.
    """

    uneven: float = 0.1
    attenuation: float = 0.0
    bleaching: float = 0.0
    stripes: float = 0.0
    stripe_width: float = 0.15
    stripe_axis: Literal["y", "x"] = "x"

    def __post_init__(self) -> None:
        zero, part = (0.0, ENDLESS), (0.0, 1.0)
        check_ranges(self, uneven=zero, attenuation=zero, bleaching=part, stripes=part, stripe_width=(0.01, ENDLESS))
        if self.stripe_axis not in ("y", "x"):
            raise SettingsError(f"Light: stripe_axis is {self.stripe_axis!r}; wanted 'y' or 'x'")


@dataclass(frozen=True)
class Backdrop:
    """What is seen where no cell is, and belongs to none.

    `level`: counts outside, which change by a part `uneven` from place to place. `debris`: unlabelled specks for each
    cell that the volume has room for, of about `debris_size` and `debris_level` of a cell's brightness. `glow`: blurred
    cells above and below what is imaged, one as wide as `glow_size`, counted and measured in the same way.
    """

    level: float = 100.0
    uneven: float = 0.0
    debris: float = 0.0
    debris_size: float = 0.25
    debris_level: float = 0.4
    glow: float = 0.0
    glow_size: float = 1.5
    glow_level: float = 0.2

    def __post_init__(self) -> None:
        zero, size = (0.0, ENDLESS), (0.01, 10.0)
        check_ranges(self, level=zero, uneven=(0, 1), debris=(0, 100), debris_size=size, debris_level=zero)
        check_ranges(self, glow=(0, 100), glow_size=size, glow_level=zero)


@dataclass(frozen=True)
class Camera:
    """`noise`: 1 is a usual camera (4 counts a photon, read noise of 8 counts), 0 none; photons are `noise` squared
    times fewer. `lines`: fixed offsets of columns, in read noises. `hot`: the part of the pixels that are bright for no
    reason. `ceiling`: the most counts it gives."""

    noise: float = 1.0
    lines: float = 0.0
    hot: float = 0.0
    ceiling: int = 65535

    def __post_init__(self) -> None:
        check_ranges(self, noise=(0, 1000), lines=(0, ENDLESS), hot=(0, 1), ceiling=(1, 65535))


@dataclass(frozen=True)
class Look:
    """What a microscope makes of labelled cells. `cells` and `nuclei` are the dyes, and so the channels of the image:
    the second sees only the nuclei inside the cells. None leaves a channel out.

    Where the cells that you have *are* nuclei, it is ``Look(cells=NUCLEAR, nuclei=None)``.
    """

    cells: Stain | None = CYTOPLASMIC
    nuclei: Stain | None = NUCLEAR
    optics: Optics = field(default_factory=Optics)
    light: Light = field(default_factory=Light)
    backdrop: Backdrop = field(default_factory=Backdrop)
    camera: Camera = field(default_factory=Camera)
    phase: PhaseContrast | None = None

    def __post_init__(self) -> None:
        if self.cells is None and self.nuclei is None:
            raise SettingsError("a look without cells and without nuclei shows nothing; wanted at least one stain")

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the image's channels."""
        return tuple(stain.name for stain in (self.cells, self.nuclei) if stain is not None)
