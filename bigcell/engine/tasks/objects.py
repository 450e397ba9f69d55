"""Steps from ends to objects: sinks, labels named by sink, rows of the blocks that own the sinks."""

from __future__ import annotations

from typing import Any

import numpy as np

from bigcell.core.lookup import Lookup
from bigcell.core.relabel import renumber_into
from bigcell.dynamics.settings import SINK_HALO
from bigcell.dynamics.sink_lookup import hash_table, name_ends
from bigcell.dynamics.sinks import EndHistogram, map_sinks
from bigcell.engine.tasks.follow import load_ends
from bigcell.engine.tasks.job import Job
from bigcell.stitch.number import keep_sized
from bigcell.stitch.pieces import FIELDS, OwnedPieces, Pieces


def sinks(job: Job, item: tuple[int, tuple[int, ...]]) -> dict[str, Any]:
    """The sink of every end in a block, from the histograms of all blocks whose particles come near."""
    block, reaching = item
    core = job.grid.core(block)
    near = core.grow(SINK_HALO) & job.whole
    parts = []
    for j in reaching:
        held = job.scratch.load(f"histogram/{j}")
        parts.append(EndHistogram(held["position"], held["count"]).within(near, job.plan.extent))
    found = map_sinks(EndHistogram.sum(parts), core, job.plan.extent, job.plan.settings.dynamics)
    job.scratch.save(f"sinks/{block}", {"position": found.key, "name": found.value})
    return {"ends": len(found.key)}


def name(job: Job, item: tuple[int, tuple[int, ...]]) -> dict[str, Any]:
    """Label a block's voxels by the sinks of their ends, and measure the pieces of objects in it."""
    block, reached = item
    core = job.grid.core(block)
    mask, moved = load_ends(job, block)
    held = [job.scratch.load(f"sinks/{j}") for j in reached if job.is_active(j)]
    known = Lookup.join([Lookup(h["position"], h["name"]) for h in held])
    sinks = np.unique(known.value[known.value > 0])
    number = np.where(known.value > 0, np.searchsorted(sinks, known.value) + 1, 0)
    local = np.zeros(mask.shape, np.uint32)
    place = np.array([core.start, job.plan.extent])
    lost = name_ends(mask, moved, place, hash_table(known.key, number), local)
    pieces = Pieces.measure(local, sinks, core)
    there = pieces.voxels > 0
    renumber_into(local, local, np.concatenate([[0], np.cumsum(there) * there]).astype(np.uint32))
    job.scratch.save_dense(f"labels/{block}", local.astype(np.uint16) if there.sum() < 2**16 else local)
    save_pieces(job, f"pieces/{block}", pieces.take(there))
    return {"pieces": int(there.sum()), "lost": int(lost)}


def reduce(job: Job, item: tuple[int, tuple[int, ...]]) -> dict[str, Any]:
    """The whole objects that a block owns, those out of the size limits left out."""
    block, holding = item
    objects = Pieces.sum([_pieces_of(job, j).by(block) for j in holding])
    kept = objects if job.plan.links else keep_sized(objects, job.plan.settings.sizes)
    save_pieces(job, f"objects/{block}", kept)
    return {"objects": len(objects), "kept": len(kept)}


def _pieces_of(job: Job, block: int) -> OwnedPieces:
    """What `block` knows, read once for the neighbours that come one after the other."""

    def read() -> tuple[OwnedPieces, int]:
        held = OwnedPieces.of(load_pieces(job, f"pieces/{block}"), job.grid)
        return held, sum(getattr(held.rows, f).nbytes for f in FIELDS) + 200 * len(held.places)

    held: OwnedPieces = job.recent.get(("pieces", block), read)
    return held


def save_pieces(job: Job, entry: str, pieces: Pieces) -> None:
    """Leave a table under a name: its names, and all other columns one after the other, which packs them at once."""
    columns = [getattr(pieces, f).T.ravel() for f in FIELDS[1:]]
    job.scratch.save(entry, {"name": pieces.name, "measures": np.concatenate(columns)})


def load_pieces(job: Job, entry: str) -> Pieces:
    """The table that was left under a name."""
    held = job.scratch.load(entry)
    rows = held["measures"].reshape(11, len(held["name"]))
    return Pieces(held["name"], rows[0], rows[1:4].T, rows[4:7].T, rows[7:10].T, rows[10])
