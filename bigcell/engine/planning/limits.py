"""Refuse a run of more parts than anybody could see the end of, before anything is made for each."""

from __future__ import annotations

from math import prod

from bigcell.core.errors import InputError
from bigcell.core.format import shape
from bigcell.engine.planning.settings import output_chunks
from bigcell.tiling.grid import BlockGrid
from bigcell.tiling.lattice import Lattice

MAX_COUNT = 10_000_000
"""Blocks, files of labels, tiles along an axis, and thousands of them in all: a driver holds something for each."""


def check_counts(grid: BlockGrid, lattice: Lattice | None) -> None:
    """InputError where there are too many blocks, files of labels or, with a network, tiles of it."""
    _check(len(grid), f"blocks of {shape(grid.shape)}", "larger blocks (--block), a coarser level or a region")
    z, y, x = grid.extent
    _, shard = output_chunks((z, y, x))
    files = prod(-(-n // s) for n, s in zip(grid.extent, shard, strict=True))
    _check(files, f"files of labels, of {shape(shard)}", "a coarser level (--level) or a region (--region)")
    if lattice is not None:
        for count in (*lattice.counts, prod(lattice.counts) // 1000):
            _check(count, "places of the network's tiles", "a larger diameter, or a region (--region)")


def _check(count: int, what: str, instead: str) -> None:
    if count > MAX_COUNT:
        found = f"{count:,}" if count < 10**18 else "more than 10^18"
        raise InputError(f"the volume makes {found} {what}, wanted at most {MAX_COUNT:,}: choose {instead}")
