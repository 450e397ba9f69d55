"""From counts of all blocks, or percentiles of all tiles, to what is black and what is white everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from bigcell.core.volume import Array
from bigcell.engine.tasks.intensity import (
    SLAB,
    first_search,
    has_levels_by_plane,
    plane_tiles,
    regions_of,
    seen_dtype,
    totals,
)
from bigcell.engine.tasks.job import BLANK_IMAGE, Job
from bigcell.preprocess.exposure import exposure_notices
from bigcell.preprocess.levels import BLANK
from bigcell.preprocess.local import complete, even_out, nearest_of
from bigcell.preprocess.normalize import constant, settle
from bigcell.preprocess.statistics import Ranges, Search, ranges_of

Stage = Callable[..., Any]
Levels = tuple[Array, Array]


def settle_contrast(job: Job, stage: Stage) -> list[str]:
    """Leave the levels of every channel in the scratch. Returns sentences that the user should read.

    `stage(name, items, voxels)` runs a stage. Memory: 0.5 MB a channel, with 8 kB a plane or 16 bytes a tile if planes
    or tiles have levels of their own.
    """
    by, fill = job.plan.settings.normalize.by, job.plan.settings.normalize.fill_nan
    if fill is not None:
        blocks = _blocks(job)
        stage("refine_statistics", [(f"nan-{k}", k, ()) for k in blocks], 0)
    if by in ("nothing", "lowhigh"):
        return []
    measured = _tile_levels(job, stage) if by == "tile" else _counted_levels(job, stage)
    channels: list[Levels] = []
    notices: list[str] = []
    for levels, texts in measured:
        channels.append(levels)
        notices += texts
    low, high = (np.stack([c[i] for c in channels]) for i in (0, 1))
    if (high >= BLANK).all():
        job.scratch.append(BLANK_IMAGE, b"1")
        notices.append("the image holds nothing to segment: there are no cells, and the labels are empty")
    step = SLAB if has_levels_by_plane(job.plan) else low.shape[1]
    for first in range(0, low.shape[1], step):
        part = (slice(None), slice(first, first + step))
        job.scratch.save(f"levels/{first // step}", {"low": low[part], "high": high[part]})
    return notices


def _counted_levels(job: Job, stage: Stage) -> Iterator[tuple[Levels, list[str]]]:
    """Levels (regions, 1, 1) float32 of each channel from counts, and what there is to say."""
    plan, names, blocks = job.plan, job.plan.seen_channels, _blocks(job)
    stage("statistics", ((k,) for k in blocks), [job.grid.core(k).size for k in blocks])
    searches = [first_search(job)] * len(names)
    ends = _joined_ends(job, blocks, len(names), len(searches[0].ranks))
    searches = _advanced(job, blocks, "statistics/", searches)
    turn = 1
    while not searches[0].done:
        stage("refine_statistics", [_refine_item(job, turn, k, searches) for k in blocks], 0)
        searches = _advanced(job, blocks, f"refine/{turn}-", searches)
        turn += 1
    percentile, total = plan.settings.normalize.percentile, totals(job)
    measured = np.flatnonzero(total)
    nearest = np.searchsorted(measured, nearest_of(measured, len(total)))
    for c, name in enumerate(names):
        every = ranges_of(searches[c], ends[c], seen_dtype(plan), total, percentile)
        ranges = Ranges(*(getattr(every, f.name)[measured] for f in fields(Ranges)))
        low, high = (v.astype(np.float32)[:, None, None] for v in settle(ranges))
        told = _constant(ranges, name) or _told(ranges, (low, high), name, percentile, measured)
        told += exposure_notices(ranges, name, seen_dtype(plan), percentile)
        yield (low[nearest], high[nearest]), told


def _blocks(job: Job) -> Sequence[int]:
    """The blocks that hold foreground."""
    blocks, foreground = range(len(job.grid)), job.foreground
    return blocks if foreground is None else [k for k in blocks if foreground.holds(job.grid.core(k))]


def _refine_item(job: Job, turn: int, k: int, searches: list[Search]) -> tuple[str, int, tuple[Search, ...]]:
    part = regions_of(job.plan, job.grid.core(k))
    return f"{turn}-{k}", k, tuple(s.part(part) for s in searches)


def _advanced(job: Job, blocks: Sequence[int], prefix: str, searches: list[Search]) -> list[Search]:
    """The searches one digit further, by the counts of all blocks."""
    tables = [np.zeros((*s.slots.shape, 1 << s.digit), np.int64) for s in searches]
    for k in blocks:
        part, held = regions_of(job.plan, job.grid.core(k)), job.scratch.load(f"{prefix}{k}")
        for c, table in enumerate(tables):
            counts = held[f"counts{c}"]
            table[part, : counts.shape[1]] += counts
    return [search.advance(table) for search, table in zip(searches, tables, strict=True)]


def _joined_ends(job: Job, blocks: Sequence[int], channels: int, regions: int) -> Array:
    """The extremes (channels, regions, 2) of all blocks together."""
    ends = np.tile([np.inf, -np.inf], (channels, regions, 1))
    for k in blocks:
        part, held = regions_of(job.plan, job.grid.core(k)), job.scratch.load(f"statistics/{k}")
        for c in range(channels):
            ends[c, part, 0] = np.minimum(ends[c, part, 0], held[f"ends{c}"][:, 0])
            ends[c, part, 1] = np.maximum(ends[c, part, 1], held[f"ends{c}"][:, 1])
    return ends


def _constant(ranges: Ranges, name: str) -> list[str]:
    """What to say of a channel that is the same all over."""
    value = constant(ranges)
    if value is None:
        return []
    return [f"channel {name!r} is {value:g} everywhere; it is taken as empty"]


def _told(ranges: Ranges, levels: Levels, name: str, percentile: tuple[float, float], planes: Array) -> list[str]:
    flat = np.flatnonzero(ranges.high <= ranges.low)
    if not len(flat):
        return []
    both = f"channel {name!r}: percentiles {percentile[0]:g} and {percentile[1]:g} are"
    if len(ranges.low) == 1:
        black, white = levels[0].item(), levels[1].item()
        return [f"{both} both {ranges.low.item():g}; {black:g} is taken as black and {white:g} as white"]
    where = f"{len(flat)} of {len(ranges.low)} planes (first {planes[flat[0]]})"
    return [f"{both} the same in {where}; there the maximum is white"]


def _tile_levels(job: Job, stage: Stage) -> Iterator[tuple[Levels, list[str]]]:
    """Levels (1 or planes, rows, columns) float32 of each channel from percentiles of its tiles."""
    tiles, settings = plane_tiles(job.plan), job.plan.settings.normalize
    groups = [tiles.group(k) for k in range(len(tiles))]
    stage("statistics", ((k,) for k in range(len(tiles))), [tiles.voxels(group).size for group in groups])
    for c, name in enumerate(job.plan.seen_channels):
        table = np.empty((4, job.plan.extent[0], *tiles.counts), np.float32)
        for k, group in enumerate(groups):
            table[(slice(None), *group.slices)] = job.scratch.load(f"statistics/{k}")[f"tiles{c}"]
        low, high = table[0], table[1]
        notices = _constant(Ranges(*table), name)
        if notices:
            low, high = table[2], np.full_like(high, BLANK)
        elif not (high > low).any():
            low, high = np.full_like(low, table[2].min()), np.full_like(high, table[3].max())
            notices = [f"channel {name!r}: no tile has contrast; {low.min():g} is black and {high.max():g} white"]
        whole = settings.norm3D or len(low) == 1
        smooth = settings.tile_norm_smooth3D or 1.0
        low, high = (
            even_out(v, one_for_all=whole, smooth=smooth if settings.norm3D else 0.0) for v in complete(low, high)
        )
        yield (low, high), notices
