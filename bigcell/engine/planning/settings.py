"""All settings of a run, as resolved: what stands here, the input and the model decide every voxel of the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt
from typing import get_args

from bigcell.core.errors import SettingsError
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.engine.planning.bad_chunks import OnBadChunk
from bigcell.flows.settings import FlowSettings
from bigcell.preprocess.normalize import NormalizeSettings
from bigcell.stitch.clean import CleanSettings
from bigcell.stitch.number import SizeSettings
from bigcell.tiling.lattice import TileSettings

BLOCK_VOXELS = 256**3
"""Voxels of a block when none is asked for."""


@dataclass(frozen=True)
class RunSettings:
    """`diameter` (voxels along x) and `anisotropy` (z over x voxel size) set the network's grid.

    `block` (z, y, x) is the unit of work: it changes speed and memory, never a label. `stitch_threshold`: the overlap
    (IoU) from which objects of neighbouring planes are one, where planes are segmented each on its own (0: not linked).
    `on_bad_chunk`: chunks of the input that cannot be read end the run ("fail"), or are empty ("fill").
    """

    block: tuple[int, int, int]
    diameter: float | None = None
    anisotropy: float = 1.0
    tiles: TileSettings = field(default_factory=TileSettings)
    flows: FlowSettings = field(default_factory=FlowSettings)
    normalize: NormalizeSettings = field(default_factory=NormalizeSettings)
    dynamics: DynamicsSettings = field(default_factory=DynamicsSettings)
    sizes: SizeSettings = field(default_factory=SizeSettings)
    clean: CleanSettings = field(default_factory=CleanSettings)
    stitch_threshold: float = 0.0
    on_bad_chunk: OnBadChunk = "fail"

    def __post_init__(self) -> None:
        if len(self.block) != 3 or any(int(n) != n or n < 1 for n in self.block):
            raise SettingsError(f"block {self.block}: wanted three positive lengths z, y, x, as in 256,256,256")
        if self.diameter is not None and not 0 < self.diameter < float("inf"):
            raise SettingsError(f"diameter {self.diameter}: wanted a positive number of voxels")
        if not 0 <= self.stitch_threshold <= 1:
            raise SettingsError(f"stitch_threshold {self.stitch_threshold}: wanted an IoU up to 1, such as 0.25, or 0")
        if self.stitch_threshold and not self.dynamics.planar:
            raise SettingsError("stitch_threshold links planes that are segmented each on its own: give do_3D=False")
        if self.on_bad_chunk not in get_args(OnBadChunk):
            raise SettingsError(f"on_bad_chunk {self.on_bad_chunk!r}: wanted 'fail' or 'fill'")
        if not 0.01 <= self.anisotropy <= 100:
            raise SettingsError(f"anisotropy {self.anisotropy}: wanted z over x voxel size, between 0.01 and 100")


def default_block(extent: tuple[int, int, int]) -> tuple[int, int, int]:
    """A block of about `BLOCK_VOXELS`: flat volumes get wider blocks.

    >>> default_block((1000, 4000, 4000)), default_block((1, 9000, 9000)), default_block((30, 512, 512))
    ((256, 256, 256), (1, 4096, 4096), (30, 512, 512))
    """
    z = min(extent[0], 256)
    side = max(64, int(sqrt(BLOCK_VOXELS / z)) // 64 * 64)
    y, x = (min(n, side) for n in extent[1:])
    return (z, y, x)


def output_chunks(extent: tuple[int, int, int]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Chunk and shard of the labels. Functions of the extent alone, so blocks leave no trace in the files."""
    if extent[0] == 1:
        return (1, 512, 512), (1, 4096, 4096)
    return (64, 64, 64), (256, 256, 256)
