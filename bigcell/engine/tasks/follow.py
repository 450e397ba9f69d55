"""Steps that follow voxels to their ends: each voxel once, by its own block, or handed to the block it has come to."""

from __future__ import annotations

from typing import Any

import numpy as np

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.dynamics.backend import choose_follow
from bigcell.dynamics.displacements import displacements, end_positions
from bigcell.dynamics.follow import Particles, foreground_flow_into
from bigcell.dynamics.paths import ESCAPED
from bigcell.dynamics.sinks import EndHistogram
from bigcell.dynamics.window import logit_threshold
from bigcell.engine.tasks.job import Job

AWAY = 64
"""Voxels of flow around mailed particles that a block reads (within its window): they may be few."""


def follow_block(job: Job, item: tuple[int]) -> dict[str, Any]:
    """Follow the foreground voxels of a block. Those that leave its window are mailed to the block they are in.

    The result tells, among others, the longest `step` that a flow in the window leads along the axis of the layers.
    """
    block, dynamics = item[0], job.plan.settings.dynamics
    core = job.grid.core(block)
    empty = job.foreground is not None and not job.foreground.holds(core)  # others may come here all the same
    window, mask, flow = _flow_around(job, core if empty else core.grow(dynamics.halo))
    inner = mask[core.relative_to(window).slices].copy()
    step = _longest(flow[job.grid.layer_axis])
    ends, away = choose_follow().core(flow, inner, window, core, job.plan.extent, dynamics)
    del flow, mask
    moved = np.zeros((np.count_nonzero(inner), 3), _way_dtype(job))
    counts = np.zeros(window.size, np.int32)
    reach = int(displacements(ends, np.array([core.start, window.start, window.shape]), moved, counts))
    rank = np.flatnonzero(ends[inner] == ESCAPED) if len(away) else np.zeros(0, np.int64)
    del ends
    if not len(away):
        _save_histogram(job, block, EndHistogram.of_counts(counts.reshape(window.shape), window, job.plan.extent))
    del counts
    _save_ends(job, block, inner, moved, reach)
    to = _post(job, 1, block, away, np.full(len(rank), block), rank)
    return {"foreground": len(moved), "escaped": len(rank), "reach": 0 if to else reach, "step": step, "to": to}


def drain(job: Job, item: tuple[str, int, int, tuple[int, ...]]) -> dict[str, Any]:
    """Follow on the voxels that were mailed to a block; send the arrived ones home and the others further."""
    _, turn, block, senders = item
    dynamics = job.plan.settings.dynamics
    mail = [job.scratch.load(f"mail/{turn}-{block}-{s}") for s in senders]
    particles = Particles(*(np.concatenate([m[k] for m in mail]) for k in ("start", "displacement", "steps")))
    home, rank = (np.concatenate([m[k] for m in mail]) for k in ("home", "rank"))
    position = particles.position
    near = Box(_triple(position.min(0)), _triple(position.max(0) + 1)).grow(AWAY)
    window, _, flow = _flow_around(job, near & job.grid.core(block).grow(dynamics.halo))
    done, escaped = choose_follow().follow(flow, window, job.plan.extent, particles, dynamics)
    end = done.landed(dynamics.sampling)
    homes = np.unique(home[~escaped])
    for h in homes:
        which = (home == h) & ~escaped
        job.scratch.save(f"returns/{h}-{turn}-{block}", {"rank": rank[which], "end": end[which]})
    to = _post(job, turn + 1, block, done.take(escaped), home[escaped], rank[escaped])
    return {"to": to, "homes": homes.tolist(), "foreground": len(done), "escaped": int(escaped.sum())}


def settle(job: Job, item: tuple[int, tuple[str, ...]]) -> dict[str, Any]:
    """Put the ends that came back by mail into their block."""
    block, senders = item
    mask, moved = load_ends(job, block)
    core = job.grid.core(block)
    voxels = np.flatnonzero(mask)
    moved = moved.astype(_way_dtype(job))
    for sender in senders:
        back = job.scratch.load(f"returns/{block}-{sender}")
        moved[back["rank"]] = back["end"] - _zyx(voxels[back["rank"]], core)
    reach = int(np.abs(moved).max(initial=0))
    _save_ends(job, block, mask, moved, reach)
    ends = end_positions(mask, moved, np.array(core.start), np.array(job.plan.extent))
    _save_histogram(job, block, EndHistogram.of(ends, job.plan.extent))
    return {"reach": reach}


def load_ends(job: Job, block: int) -> tuple[Array, Array]:
    """Foreground mask of a block, and how far each of its particles (in raster order) moved, (n, 3)."""
    core = job.grid.core(block)
    held = job.scratch.load(f"ends/{block}")
    return np.unpackbits(held["mask"], count=core.size).astype(bool).reshape(core.shape), held["moved"]


def _longest(flow: Array) -> int:
    return max(int(flow.max()), -int(flow.min()))


def _triple(values: Array) -> tuple[int, ...]:
    return tuple(int(v) for v in values)


def _flow_around(job: Job, box: Box) -> tuple[Box, Array, Array]:
    """The part of a box that lies in the volume, and the foreground mask and flow in it."""
    window = box & job.whole
    return window, *foreground_flow_into(job.flows(window), logit_threshold(job.plan.settings.dynamics))


def _zyx(voxels: Array, core: Box) -> Array:
    """Voxels (n, 3) of the volume, from their raster places in a block's core."""
    place: Array = np.stack(np.unravel_index(voxels, core.shape), 1) + np.array(core.start)
    return place


def _way_dtype(job: Job) -> type[np.signedinteger[Any]]:
    """The integer that holds any way through the volume."""
    return np.int16 if max(job.plan.extent) <= 2**15 else np.int32


def _save_ends(job: Job, block: int, mask: Array, moved: Array, reach: int) -> None:
    small = moved.astype(np.int8) if reach < 128 else moved
    job.scratch.save(f"ends/{block}", {"mask": np.packbits(mask), "moved": small})


def _save_histogram(job: Job, block: int, histogram: EndHistogram) -> None:
    """Leave the histogram of a block whose every particle has arrived."""
    job.scratch.save(f"histogram/{block}", {"position": histogram.position, "count": histogram.count})


def _post(job: Job, turn: int, sender: int, away: Particles, home: Array, rank: Array) -> list[int]:
    """Mail escaped particles to the blocks that hold their positions. Returns those blocks."""
    to = job.grid.owners(list(away.position.T))
    for block in np.unique(to):
        which = to == block
        some = away.take(which)
        job.scratch.save(
            f"mail/{turn}-{block}-{sender}",
            {
                "start": some.start,
                "displacement": some.displacement,
                "steps": some.steps,
                "home": home[which],
                "rank": rank[which],
            },
        )
    return [int(b) for b in np.unique(to)]
