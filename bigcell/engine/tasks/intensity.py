"""What steps do with the image: read it as it is to be seen, count its intensities, normalise it for the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.engine.planning.plan import Plan
from bigcell.engine.tasks.job import Job
from bigcell.preprocess import statistics as stats
from bigcell.preprocess.channels import first_bad, grey
from bigcell.preprocess.levels import LevelMap, join
from bigcell.preprocess.local import PlaneTiles, measure_tiles
from bigcell.preprocess.normalize import fixed_levels, normalize
from bigcell.preprocess.rescale import to_network
from bigcell.preprocess.sharpen import reach, smooth_sharpen

SLAB = 64
"""Planes whose levels make one entry of the scratch."""


def seen_dtype(plan: Plan) -> np.dtype[Any]:
    """The dtype of what `seen` gives."""
    s = plan.settings.normalize
    return np.dtype(np.float32) if s.grey or s.sharpen_radius or s.smooth_radius else np.dtype(plan.dtype)


def plane_tiles(plan: Plan) -> PlaneTiles:
    """The tiles of local normalisation."""
    return PlaneTiles(plan.extent, plan.settings.normalize.tile_norm_blocksize)


def seen(job: Job, box: Box) -> Array:
    """The image in `box` before normalisation, (channel, z, y, x): averaged to grey, smoothed, sharpened as asked.

    Raises InputError for infinity, and for NaN unless it counts as a number.
    """
    s = job.plan.settings.normalize
    halo = reach(s.sharpen_radius, s.smooth_radius)
    window = box.grow((0, halo, halo)) & job.whole
    image = _finite(job, window)
    if s.grey:
        image = grey(image)
    if halo:
        image = smooth_sharpen(image, sharpen_radius=s.sharpen_radius, smooth_radius=s.smooth_radius)
    return image[(slice(None), *box.relative_to(window).slices)]


def _finite(job: Job, window: Box) -> Array:
    """The image in `window`, with numbers for what is NaN."""
    image, fill = job.read_image(window), job.plan.settings.normalize.fill_nan
    bad = first_bad(image)
    if bad is not None and fill is not None:
        image = np.where(np.isnan(image), image.dtype.type(fill), image)
        bad = first_bad(image)
    if bad is None:
        return image
    corner = np.add(window.start, getattr(job.image, "offset", (0, 0, 0)))
    place = tuple(int(v) for v in corner + bad[1:])
    or_fill = ", or give --fill-nan 0, or another number that NaN counts as" if np.isnan(image[bad]) else ""
    raise InputError(
        f"found {image[bad]} at voxel {place} (z, y, x) of channel {job.plan.channels[bad[0]]!r}; "
        f"wanted finite numbers: mend the image{or_fill}"
    )


def count_nan(job: Job, item: tuple[str, int, tuple[()]]) -> dict[str, Any]:
    """How many voxels of a block, foreground only, are NaN in any channel."""
    box, inside = _measured(job, item[1])
    nan = np.isnan(job.read_image(box)).any(0) if job.image is not None and job.image.dtype.kind == "f" else np.zeros(1)
    return {"nan": int(np.count_nonzero(nan if inside is None else nan.reshape(inside.shape) & inside))}


def network_image(job: Job, box: Box) -> Array:
    """The image at the network's voxels of `box`: normalised, then resampled; float32 (channel, *box)."""
    source = job.grids.source_box(box)
    invert = job.plan.settings.normalize.invert
    start = (source.start[0], source.start[1], source.start[2])
    image = normalize(seen(job, source), load_levels(job, source), start, invert=invert)
    return to_network(image, source, box, job.grids)


def load_levels(job: Job, box: Box) -> LevelMap | None:
    """The levels that the planes of `box` need; None if intensities are left as they are."""
    settings = job.plan.settings.normalize
    if settings.by in ("nothing", "lowhigh"):
        return fixed_levels(settings, job.plan.seen_channels)
    slabs = range(box.start[0] // SLAB, -(-box.stop[0] // SLAB)) if has_levels_by_plane(job.plan) else range(1)
    maps = []
    for slab in slabs:
        held = job.scratch.load(f"levels/{slab}")
        maps.append(LevelMap(held["low"], held["high"], job.plan.extent[1:], slab * SLAB))
    return join(maps)


def has_levels_by_plane(plan: Plan) -> bool:
    """Whether planes differ in their levels."""
    s = plan.settings.normalize
    return plan.extent[0] > 1 and not s.norm3D and s.by in ("plane", "tile")


def totals(job: Job) -> Array:
    """How many voxels percentiles are taken of, foreground only: in the volume, or in each of its planes; int64."""
    (z, y, x), foreground = job.plan.extent, job.foreground
    planes = np.full(z, y * x, np.int64) if foreground is None else foreground.planes
    return planes if job.plan.settings.normalize.by == "plane" else planes.sum(keepdims=True)


def first_search(job: Job) -> stats.Search:
    """The search for percentiles before the first pass: over the volume, or over its planes."""
    s = job.plan.settings.normalize
    return stats.Search.start(seen_dtype(job.plan), totals(job), s.percentile, digit=8 if s.by == "plane" else 16)


def regions_of(plan: Plan, box: Box) -> slice:
    """The regions of the search that `box` holds voxels of."""
    return slice(box.start[0], box.stop[0]) if plan.settings.normalize.by == "plane" else slice(0, 1)


def statistics(job: Job, item: tuple[int]) -> dict[str, Any]:
    """First pass over a block: counts and extremes, channel by channel. Of tiles: their percentiles, by groups."""
    if job.plan.settings.normalize.by == "tile":
        return _measure_group(job, item[0])
    box, inside = _measured(job, item[0])
    search = first_search(job).part(regions_of(job.plan, box))
    entry = {}
    for c, channel in enumerate(seen(job, box)):
        values = channel.reshape(len(search.ranks), -1)
        entry[f"counts{c}"] = _count(values, inside, search)
        entry[f"ends{c}"] = stats.extremes(values) if inside is None else stats.extremes_inside(values, inside)
    job.scratch.save(f"statistics/{item[0]}", entry)
    return {}


def _measured(job: Job, block: int) -> tuple[Box, Array | None]:
    """The part of a block that has all its foreground in it, and which of its voxels that is, a row for each region of
    the search; None for all of them."""
    core, foreground = job.grid.core(block), job.foreground
    if foreground is None or foreground.covers(core):
        return core, None
    box = foreground.bounds(core)
    if job.plan.settings.normalize.by != "plane":
        return box, foreground.mask(box).reshape(1, -1)
    box = Box((core.start[0], *box.start[1:]), (core.stop[0], *box.stop[1:]))  # the core's planes are its regions
    return box, foreground.mask(box).reshape(box.shape[0], -1)


def _count(values: Array, inside: Array | None, search: stats.Search) -> Array:
    counts = stats.count(values, search) if inside is None else stats.count_inside(values, inside, search)
    return counts.astype(np.uint32)


def _measure_group(job: Job, number: int) -> dict[str, Any]:
    tiles = plane_tiles(job.plan)
    group = tiles.group(number)
    percentile = job.plan.settings.normalize.percentile
    image = seen(job, tiles.voxels(group))
    entry = {f"tiles{c}": measure_tiles(channel, tiles, group, percentile) for c, channel in enumerate(image)}
    job.scratch.save(f"statistics/{number}", entry)
    return {}


def refine(job: Job, item: tuple[str, int, tuple[stats.Search, ...]]) -> dict[str, Any]:
    """A later pass over a block: counts of the next digit of the wanted values, channel by channel.

    With nothing to search for, a count of what is NaN.
    """
    key, number, searches = item
    if not searches:
        return count_nan(job, (key, number, ()))
    box, inside = _measured(job, number)
    entry = {}
    for c, (channel, search) in enumerate(zip(seen(job, box), searches, strict=True)):
        entry[f"counts{c}"] = _count(channel.reshape(len(search.ranks), -1), inside, search)
    job.scratch.save(f"refine/{key}", entry)
    return {}
