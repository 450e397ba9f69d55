"""A pass over a block holds what the plan says, for every way of normalising."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import RunSettings
from bigcell.engine.tasks.intensity import statistics
from bigcell.engine.tasks.job import Job
from bigcell.io.scratch import MemoryScratch
from bigcell.preprocess.cost import pass_bytes
from bigcell.preprocess.normalize import NormalizeSettings

Zyx = tuple[int, int, int]
UNIT = Spacing()
EXTENT, BLOCK = (70, 900, 900), (32, 200, 250)


@dataclass(frozen=True)
class Made:
    """Two channels of any size, made as they are read."""

    extent: Zyx
    dtype: np.dtype
    channels: tuple[str, ...] = ("cyto", "dna")
    spacing: Spacing = UNIT

    def read(self, box: Box) -> np.ndarray:
        out = np.empty((2, *box.shape), self.dtype)
        plane = np.add.outer(np.arange(box.start[1], box.stop[1]) * 7, np.arange(box.start[2], box.stop[2]) * 3) % 251
        for channel in out:
            for z in range(box.shape[0]):
                channel[z] = plane + z
        return out


def held(settings: NormalizeSettings, dtype: str, extent: Zyx, block: Zyx) -> int:
    volume = Made(extent, np.dtype(dtype))
    plan = Plan(extent, Spacing(), volume.channels, dtype, RunSettings(block, normalize=settings))
    job = Job(plan, volume, None, MemoryScratch())
    tracemalloc.start()
    statistics(job, (5 if settings.by != "tile" else 0,))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    ("settings", "dtype"),
    [
        (NormalizeSettings(), "uint16"),
        (NormalizeSettings(), "float32"),
        (NormalizeSettings(norm3D=False), "uint16"),
        (NormalizeSettings(grey=True), "uint8"),
        (NormalizeSettings(sharpen_radius=6.0, smooth_radius=2.0), "uint16"),
        (NormalizeSettings(tile_norm_blocksize=60), "uint16"),
        (NormalizeSettings(tile_norm_blocksize=700), "uint16"),
        (NormalizeSettings(tile_norm_blocksize=100, smooth_radius=2.0), "float32"),
    ],
    ids=str,
)
def test_a_pass_holds_what_is_planned(settings: NormalizeSettings, dtype: str) -> None:
    held(settings, dtype, (2, 20, 20), (1, 6, 6))  # compiles
    planned = pass_bytes(settings, EXTENT, BLOCK, 2, np.dtype(dtype).itemsize)
    assert 0.7 < held(settings, dtype, EXTENT, BLOCK) / planned < 1.3


def test_nothing_is_measured_where_levels_are_given() -> None:
    assert pass_bytes(NormalizeSettings(lowhigh=((0, 9),)), EXTENT, BLOCK, 2, 2) == 0
