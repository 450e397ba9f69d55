"""Objects at the blocks that own them: from tables that are kept for a while as from tables read each time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.lru import ByteLimitedLRUCache
from bigcell.engine.tasks.objects import load_pieces, reduce, save_pieces
from bigcell.io.scratch import MemoryScratch
from bigcell.stitch.number import SizeSettings
from bigcell.stitch.pieces import FIELDS, Pieces
from bigcell.tiling.grid import BlockGrid

EXTENT = (4, 6, 5)


class CountingScratch(MemoryScratch):
    """Tells how often entries were read."""

    read = 0

    def load(self, name: str) -> dict[str, np.ndarray]:
        self.read += 1
        return super().load(name)


def some_pieces(rng: np.random.Generator) -> Pieces:
    name = np.flatnonzero(rng.random(np.prod(EXTENT)) < 0.3) + 1
    three = rng.integers(0, 9, (3, len(name), 3))
    return Pieces(name, rng.integers(1, 9, len(name)), *three, rng.integers(0, 4, len(name)))


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.tuples(*[st.integers(1, 6)] * 3), st.sampled_from([0, 3000, 2**24]))
def test_objects_are_all_their_pieces(seed: int, block: tuple[int, int, int], kept: int) -> None:
    rng, grid = np.random.default_rng(seed), BlockGrid(EXTENT, block)
    plan: Any = SimpleNamespace(links=False, settings=SimpleNamespace(sizes=SizeSettings(3)))
    job: Any = SimpleNamespace(grid=grid, scratch=CountingScratch(), plan=plan, recent=ByteLimitedLRUCache[Any](kept))
    parts = [some_pieces(rng) for _ in range(len(grid))]
    for k, part in enumerate(parts):
        save_pieces(job, f"pieces/{k}", part)
    noted = [reduce(job, (k, tuple(range(len(grid))))) for k in range(len(grid))]
    whole = Pieces.sum(parts)
    owned = Pieces.sum([load_pieces(job, f"objects/{k}") for k in range(len(grid))])
    for f in FIELDS:
        assert np.array_equal(getattr(owned, f), getattr(whole, f)[whole.voxels >= 3])
    assert sum(n["objects"] for n in noted) == len(whole)
    assert sum(n["kept"] for n in noted) == len(owned)
    if kept == 2**24:
        assert job.scratch.read == 2 * len(grid), "every table once, and what is left of them here"


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_tables_come_back(rows: int) -> None:
    job: Any = SimpleNamespace(scratch=MemoryScratch())
    rng = np.random.default_rng(rows)
    made = Pieces(*(rng.integers(0, 99, (rows, 3) if f in ("total", "low", "high") else rows) for f in FIELDS))
    save_pieces(job, "a", made)
    for f in FIELDS:
        assert np.array_equal(getattr(load_pieces(job, "a"), f), getattr(made, f))
