"""Steps that follow voxels to their ends: each voxel once, by its own block, or handed to the block it has come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.dynamics.follow import Particles, follow, foreground_flow
from bigcell.dynamics.sinks import EndHistogram
from bigcell.dynamics.window import logit_threshold
from bigcell.engine.job import Job


def follow_block(job: Job, item: tuple[int]) -> dict[str, Any]:
    """Follow the foreground voxels of a block. Those that leave its window are mailed to the block they are in."""
    block = item[0]
    core = job.grid.core(block)
    window = core.grow(job.plan.settings.dynamics.halo) & job.whole
    mask, flow = foreground_flow(job.flows(window), logit_threshold(job.plan.settings.dynamics))
    inner = mask[core.relative_to(window).slices]
    particles = Particles.at(np.argwhere(inner) + np.array(core.start))
    done, escaped = follow(flow, window, job.plan.extent, particles, job.plan.settings.dynamics.niter)
    _save_ends(job, block, inner, done)
    home = np.full(len(done), block)
    to = _post(job, 1, block, done, escaped, home, np.arange(len(done)))
    reach = 0 if to else _complete(job, block, done.end, done.start)
    return {"foreground": len(done), "escaped": int(escaped.sum()), "reach": reach, "to": to}


def drain(job: Job, item: tuple[str, int, int, tuple[int, ...]]) -> dict[str, Any]:
    """Follow on the voxels that were mailed to a block; send the arrived ones home and the others further."""
    _, turn, block, senders = item
    mail = [job.scratch.load(f"mail/{turn}-{block}-{s}") for s in senders]
    particles = Particles(*(np.concatenate([m[k] for m in mail]) for k in ("start", "displacement", "steps")))
    home, rank = (np.concatenate([m[k] for m in mail]) for k in ("home", "rank"))
    core = job.grid.core(block)
    window = core.grow(job.plan.settings.dynamics.halo) & job.whole
    _, flow = foreground_flow(job.flows(window), logit_threshold(job.plan.settings.dynamics))
    done, escaped = follow(flow, window, job.plan.extent, particles, job.plan.settings.dynamics.niter)
    homes = np.unique(home[~escaped])
    for h in homes:
        which = (home == h) & ~escaped
        job.scratch.save(f"returns/{h}-{turn}-{block}", {"rank": rank[which], "end": done.end[which]})
    to = _post(job, turn + 1, block, done, escaped, home, rank)
    return {"to": to, "homes": homes.tolist(), "foreground": len(done), "escaped": int(escaped.sum())}


def settle(job: Job, item: tuple[int, tuple[str, ...]]) -> dict[str, Any]:
    """Put the ends that came back by mail into their block."""
    block, senders = item
    mask, start, end = load_ends(job, block)
    for sender in senders:
        back = job.scratch.load(f"returns/{block}-{sender}")
        end[back["rank"]] = back["end"]
    _save(job, block, mask, end - start)
    return {"reach": _complete(job, block, end, start)}


def load_ends(job: Job, block: int) -> tuple[Array, Array, Array]:
    """Foreground mask of a block, start and end voxels (n, 3) of its particles in raster order."""
    core = job.grid.core(block)
    held = job.scratch.load(f"ends/{block}")
    mask = np.unpackbits(held["mask"], count=core.size).astype(bool).reshape(core.shape)
    start = np.argwhere(mask) + np.array(core.start)
    return mask, start, start + held["moved"]


def _save_ends(job: Job, block: int, mask: Array, done: Particles) -> None:
    _save(job, block, mask, done.end - done.start)


def _save(job: Job, block: int, mask: Array, moved: Array) -> None:
    far = int(np.abs(moved).max(initial=0))
    small = moved.astype(np.int8 if far < 128 else np.int16 if far < 2**15 else np.int32)
    job.scratch.save(f"ends/{block}", {"mask": np.packbits(mask), "moved": small})


def _complete(job: Job, block: int, end: Array, start: Array) -> int:
    """Leave the histogram of a block whose every particle has arrived. Returns how far the furthest went."""
    histogram = EndHistogram.of(end, job.plan.extent)
    job.scratch.save(f"histogram/{block}", {"position": histogram.position, "count": histogram.count})
    return int(np.abs(end - start).max(initial=0))


def _post(job: Job, turn: int, sender: int, done: Particles, escaped: Array, home: Array, rank: Array) -> list[int]:
    """Mail the escaped particles to the blocks that hold their positions. Returns those blocks."""
    away = done.take(escaped)
    to = job.grid.owners(list(away.position.T))
    for block in np.unique(to):
        which = to == block
        some = away.take(which)
        job.scratch.save(
            f"mail/{turn}-{block}-{sender}",
            {
                "start": some.start, "displacement": some.displacement, "steps": some.steps,
                "home": home[escaped][which], "rank": rank[escaped][which],
            },
        )  # fmt: skip
    return [int(b) for b in np.unique(to)]


def blocks_reaching(job: Job, box: Box, reach: Sequence[int]) -> tuple[int, ...]:
    """The blocks that hold a voxel whose path may end in `box`, `reach` being each block's longest way."""
    furthest = max(reach, default=0)
    near = job.grid.touching(box.grow(furthest))
    return tuple(j for j in near if not (job.grid.core(j).grow(reach[j]) & box).is_empty)
