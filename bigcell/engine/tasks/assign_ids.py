"""Steps that give objects their ids, layer by layer, and write the object table, part by part.

A part holds a range of ids, which are the same whatever the blocks were: so are its bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bigcell.core.volume import Array
from bigcell.engine.tasks.job import Job
from bigcell.engine.tasks.object_rows import table_columns
from bigcell.engine.tasks.objects import load_pieces, save_pieces
from bigcell.io.tables import ROWS_A_PART
from bigcell.stitch.number import keep_sized
from bigcell.stitch.pieces import Pieces, owners

ROWS_AN_ENTRY = ROWS_A_PART
"""Rows of a layer that are kept together until they are written, so that a part reads little that is not its own."""


def number(job: Job, item: tuple[int, Sequence[int], tuple[str, ...]]) -> dict[str, Any]:
    """Rank the objects of one layer of blocks in raster order of their sinks, and leave their table rows in order.

    `item`: the layer, its blocks, and the entries that hold its objects or what other layers add to them.
    """
    layer, blocks, entries = item
    every = Pieces.sum([load_pieces(job, entry) for entry in entries])
    rows = keep_sized(every, job.plan.settings.sizes) if job.plan.links else every
    _save_ranks(job, blocks, rows.name)
    for entry, start in enumerate(range(0, len(rows), ROWS_AN_ENTRY)):
        save_pieces(job, f"rows/{layer}-{entry}", rows.take(slice(start, start + ROWS_AN_ENTRY)))
    return {"count": len(rows), "small": len(every) - len(rows)}


def _save_ranks(job: Job, blocks: Sequence[int], names: Array) -> None:
    """Leave, for each block, the ranks 1..n among `names`, which are in order, of those that it owns."""
    belong = owners(names, job.grid)
    order = np.argsort(belong, kind="stable")
    cuts = np.searchsorted(belong[order], blocks), np.searchsorted(belong[order], blocks, side="right")
    for k, first, last in zip(blocks, *cuts, strict=True):
        mine = order[first:last]
        job.scratch.save(f"ranks/{k}", {"name": names[mine], "rank": mine + 1})


def table_parts(count: int) -> list[tuple[int, int, int]]:
    """The parts of a table of `count` rows, at least one: number, rows before it, and rows to its end.

    >>> table_parts(0), table_parts(131_073)
    ([(0, 0, 0)], [(0, 0, 131072), (1, 131072, 131073)])
    """
    starts = range(0, max(count, 1), ROWS_A_PART)
    return [(part, start, min(start + ROWS_A_PART, count)) for part, start in enumerate(starts)]


def table(job: Job, item: tuple[int, int, int]) -> dict[str, Any]:
    """Write one part of the object table."""
    part, start, stop = item
    assert job.table is not None
    job.table.write_part(part, part_columns(job, start, stop))
    return {"rows": stop - start}


def part_columns(job: Job, start: int, stop: int) -> dict[str, Array]:
    """Measured columns of the objects with ids from `start` + 1 to `stop`."""
    return table_columns(start + 1, load_rows(job, start, stop), job.plan.extent)


def load_rows(job: Job, start: int, stop: int) -> Pieces:
    """The objects with ids from `start` + 1 to `stop`, in order of id."""
    found, layer = [], int(np.searchsorted(job.offsets, start, side="right")) - 1
    while layer < len(job.offsets) - 1 and job.offsets[layer] < stop:
        before, after = job.offsets[layer : layer + 2]
        first, last = max(start, before) - before, min(stop, after) - before
        for entry in range(first // ROWS_AN_ENTRY, -(-last // ROWS_AN_ENTRY)):
            skipped = entry * ROWS_AN_ENTRY
            rows = load_pieces(job, f"rows/{layer}-{entry}")
            found.append(rows.take(slice(max(first - skipped, 0), last - skipped)))
        layer += 1
    return Pieces.join(found)
