"""What decides which voxels move, for how long, and what counts as a sink; names and defaults are Cellpose's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from bigcell.core.errors import SettingsError

Sampling = Literal["centre", "cellpose"]
"""Where flows are sampled and how ends are rounded: at voxel centres, or as Cellpose does, half a voxel off."""


@dataclass(frozen=True)
class DynamicsSettings:
    """`cellprob_threshold`: a voxel is foreground above it (logit). `niter`: most steps a voxel is followed.

    `halo`: voxels of flow a block reads beyond its core; any value from 1 gives the same labels, larger ones hand
    fewer voxels to a neighbour. `sampling`: "centre", or "cellpose" for the positions, rounding and ties of Cellpose
    itself. `planar`: voxels and sinks stay in their plane, so that a stack is segmented plane by plane.
    """

    cellprob_threshold: float = 0.0
    niter: int = 200
    halo: int = 16
    sampling: Sampling = "centre"
    planar: bool = False

    def __post_init__(self) -> None:
        if not -30 < self.cellprob_threshold < 30:
            raise SettingsError(f"cellprob_threshold {self.cellprob_threshold}: wanted a logit between -30 and 30")
        if not 1 <= self.niter <= 30000:
            raise SettingsError(
                f"niter {self.niter}: wanted 1 to 30000 steps, or nothing for as many as the diameter asks for"
            )
        if self.halo < 1:
            raise SettingsError(f"halo {self.halo}: wanted at least 1 voxel")
        if self.sampling not in get_args(Sampling):
            raise SettingsError(f"sampling {self.sampling!r}: wanted {' or '.join(map(repr, get_args(Sampling)))}")


SEED_COUNT = 10
"""A sink needs more particles than this (Cellpose's rule)."""
GROW_COUNT = 2
"""A sink's territory grows over voxels that hold more particles than this (Cellpose's rule)."""
SEED_RADIUS = 2
"""A sink is the highest voxel within this many voxels along each axis."""
GROW_STEPS = 5
"""Steps by which a sink's territory grows."""
SINK_HALO = SEED_RADIUS + GROW_STEPS
"""Voxels beyond a point that can decide which sink it belongs to."""
