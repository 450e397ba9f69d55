"""Steps that write final labels: each task owns whole shards of every level that it writes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np

from bigcell.core.box import Box
from bigcell.core.lookup import Lookup
from bigcell.core.volume import Array
from bigcell.engine.tasks.job import Job, Labels
from bigcell.io.ngff.pyramid import reduce_labels
from bigcell.stitch.pieces import owners
from bigcell.tiling.grid import BlockGrid

REGION = 256
"""Least side of the region that one task writes, in voxels (a whole number of shards)."""


def regions(labels: Labels, level: int) -> BlockGrid:
    """What the tasks of a level write: whole shards, grouped to regions of at least `REGION` a side."""
    at = labels.levels[level]
    side = tuple(s * ceil(min(REGION, n) / s) for s, n in zip(at.shard, at.extent, strict=True))
    return BlockGrid(at.extent, side)


def levels_in_pass(labels: Labels) -> int:
    """How many levels `apply` can write from a region of the first: those whose shards the region holds whole."""
    first = labels.levels[0]
    side = [s * ceil(min(REGION, n) / s) for s, n in zip(first.shard, first.extent, strict=True)]
    count, total = 1, [1, 1, 1]
    for at in labels.levels[1:]:
        total = [t * f for t, f in zip(total, at.factor, strict=True)]
        whole = all(
            s >= n or (s % t == 0 and s // t % shard == 0)
            for s, n, t, shard in zip(side, first.extent, total, at.shard, strict=True)
        )
        if not whole:
            break
        count += 1
    return count


def apply(job: Job, item: tuple[str, Box, tuple[tuple[int, tuple[str, ...]], ...]]) -> dict[str, Any]:
    """Final ids of one region, and the levels of its pyramid that lie in it whole. With every block come the entries
    that hold voxels of holes in it."""
    _, region, blocks = item
    assert job.labels is not None
    values = np.zeros(region.shape, job.labels.dtype)
    for block, patches in blocks:
        if job.is_active(block):
            _put(job, block, values, region)
        for patch in patches:
            _lay_over(job, f"patches/{patch}", job.grid.core(block), values, region)
    _write_levels(job.labels, region, values)
    return {"labelled": int(np.count_nonzero(values)), "sha256": _digest(values)}


def _put(job: Job, block: int, values: Array, region: Box) -> None:
    """Put the labels of a block into those of a region."""
    core = job.grid.core(block)
    part = core & region
    local = job.scratch.load_dense(f"labels/{block}", part.relative_to(core))
    if local.any():
        ids = final_ids(job, job.scratch.load(f"pieces/{block}")["name"])
        final = np.concatenate([[0], ids]).astype(values.dtype)
        values[part.relative_to(region).slices] = final[local]


def _lay_over(job: Job, patch: str, core: Box, values: Array, region: Box) -> None:
    """Put voxels of holes in a block into the labels of a region, for the objects that claimed them."""
    held = job.scratch.load(patch)
    place = np.stack(np.unravel_index(held["at"], core.shape), 1) + np.array(core.start)
    inside = ((place >= region.start) & (place < region.stop)).all(1)
    values[tuple((place[inside] - np.array(region.start)).T)] = final_ids(job, held["name"][inside])


def coarsen(job: Job, item: tuple[str, int, Box]) -> dict[str, Any]:
    """One region of a coarse level, from the level before."""
    _, level, region = item
    assert job.labels is not None
    at, before = job.labels.levels[level], job.labels.levels[level - 1]
    source = _finer(region, at.factor) & Box.of(before.extent)
    values = job.labels.read(level - 1, source)
    if values.any():
        job.labels.write(level, region, reduce_labels(values, at.factor))
    return {}


def _digest(values: Array) -> str:
    """SHA-256 of labels, the same for ids of 32 and 64 bits; plane by plane, to hold little."""
    digest = hashlib.sha256()
    for plane in values:
        digest.update(np.ascontiguousarray(plane, dtype="<u8").data)
    return digest.hexdigest()


@lru_cache(maxsize=8)
def empty_digest(shape: tuple[int, ...]) -> bytes:
    """The digest of a region without a label, which needs no task."""
    return bytes.fromhex(_digest(np.broadcast_to(np.uint64(0), shape)))


def final_ids(job: Job, names: Array) -> Array:
    """Final ids of sink names, 0 for objects that were dropped. Read are the tables of the blocks that own them."""
    if job.plan.links:
        held = [job.scratch.load(f"roots/{k}") for k in np.unique(owners(names, job.grid))]
        linked = Lookup.join([Lookup(h["name"], h["root"]) for h in held]).of(names)
        ids = np.zeros(len(names), np.int64)
        ids[linked > 0] = _ranks(job, linked[linked > 0])
        return ids
    return _ranks(job, names)


def _ranks(job: Job, names: Array) -> Array:
    return Lookup.join([_ids_of(job, int(k)) for k in np.unique(owners(names, job.grid))]).of(names)


def _ids_of(job: Job, owner: int) -> Lookup:
    """The ids of the objects of a block, read once for the blocks around it."""

    def read() -> tuple[Lookup, int]:
        held = job.scratch.load(f"ranks/{owner}")
        ids = Lookup(held["name"], held["rank"] + job.offsets[job.grid.layer(owner)])
        return ids, ids.key.nbytes + ids.value.nbytes

    ids: Lookup = job.recent.get(("ids", owner), read)
    return ids


def _write_levels(labels: Labels, region: Box, values: Array) -> None:
    if not values.any():
        return
    labels.write(0, region, values)
    for level in range(1, levels_in_pass(labels)):
        factor = labels.levels[level].factor
        values = reduce_labels(values, factor)
        start = tuple(a // f for a, f in zip(region.start, factor, strict=True))
        region = Box(start, tuple(a + n for a, n in zip(start, values.shape, strict=True)))
        labels.write(level, region, values)


def _finer(box: Box, factor: Sequence[int]) -> Box:
    start = tuple(a * f for a, f in zip(box.start, factor, strict=True))
    return Box(start, tuple(b * f for b, f in zip(box.stop, factor, strict=True)))
