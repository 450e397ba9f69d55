"""What measuring intensities costs in memory: arithmetic on settings and sizes."""

from __future__ import annotations

from math import prod

from bigcell.core.axes import Zyx
from bigcell.preprocess.local import PlaneTiles
from bigcell.preprocess.normalize import NormalizeSettings
from bigcell.preprocess.sharpen import reach


def pass_bytes(settings: NormalizeSettings, extent: Zyx, block: Zyx, channels: int, itemsize: int) -> float:
    """Bytes that a worker holds while it measures a block (or a group of tiles) of `channels` of `itemsize` bytes.

    What is read with its halo, what becomes of it in 32 bits if it is averaged or filtered, a channel or tile of that.
    """
    if settings.by in ("nothing", "lowhigh"):
        return 0.0
    seen = 1 if settings.grey else channels
    halo = reach(settings.sharpen_radius, settings.smooth_radius)
    box, ordering = block, 0
    if settings.by == "tile":
        tiles = PlaneTiles(extent, settings.tile_norm_blocksize)
        sides = [starts[min(n, len(starts)) - 1] + size
                 for starts, n, size in zip(tiles.starts, tiles.group_shape[1:], tiles.size, strict=True)]  # fmt: skip
        box = (min(extent[0], tiles.group_shape[0]), sides[0], sides[1])
        ordering = box[0] * prod(tiles.size) * 2 * (4 if halo or settings.grey else itemsize)
    window = box[0] * prod(min(n + 2 * halo, whole) for n, whole in zip(box[1:], extent[1:], strict=True))
    changed = (4 * seen if settings.grey else 0) + (4 * seen if halo else 0)
    return float(window * (channels * itemsize + changed) + (prod(box) * 4 if halo else 0) + ordering)


def table_bytes(settings: NormalizeSettings, extent: Zyx, channels: int) -> float:
    """Bytes of the tables that the driver adds up: counts of the volume, of each plane, or numbers of each tile."""
    seen = 1 if settings.grey else channels
    if settings.by == "tile":
        return float(seen * extent[0] * prod(PlaneTiles(extent, settings.tile_norm_blocksize).counts) * 64)
    counts = extent[0] * 4 * 256 if settings.by == "plane" else 4 << 16
    return 0.0 if settings.by in ("nothing", "lowhigh") else float(seen * counts * 8 * 3)
