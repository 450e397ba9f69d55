"""Rows by ranges of ids: whatever the layers and entries they wait in, and the same files whatever the blocks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bigcell
from bigcell.engine.runtime.events import StageStarted
from bigcell.engine.tasks import assign_ids
from bigcell.engine.tasks.assign_ids import load_rows, number, table_parts
from bigcell.engine.tasks.objects import save_pieces
from bigcell.io.scratch import MemoryScratch
from bigcell.io.tables import read_objects
from bigcell.stitch.pieces import Pieces
from bigcell.testing.files import files_of
from bigcell.tiling.grid import BlockGrid


def objects_of(names: np.ndarray, extent: tuple[int, ...]) -> Pieces:
    """Objects of one voxel at their sinks."""
    at = np.stack(np.unravel_index(names - 1, extent), 1)
    return Pieces(names, np.ones(len(names), np.int64), at, at, at + 1, np.zeros(len(names), np.int64))


@settings(max_examples=40)
@given(
    extent=st.sampled_from([(9, 4, 5), (1, 12, 7), (12, 1, 6)]),
    block=st.tuples(*[st.integers(1, 5)] * 3),
    share=st.floats(0, 0.6),
    limits=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_ranks_and_ranges_follow_raster_order(
    extent: tuple[int, ...], block: tuple[int, ...], share: float, limits: tuple[int, int]
) -> None:
    grid = BlockGrid(extent, tuple(min(b, n) for b, n in zip(block, extent, strict=True)))
    every = np.flatnonzero(np.random.default_rng(len(grid)).random(np.prod(extent)) < share) + 1
    job: Any = SimpleNamespace(grid=grid, scratch=MemoryScratch(), plan=SimpleNamespace(links=False), offsets=(0,))
    owners = grid.owners(np.unravel_index(every - 1, extent))
    for k in range(len(grid)):
        save_pieces(job, f"objects/{k}", objects_of(every[owners == k], extent))
    with pytest.MonkeyPatch.context() as few:
        few.setattr(assign_ids, "ROWS_AN_ENTRY", limits[0])
        few.setattr(assign_ids, "ROWS_A_PART", limits[1])
        for layer, blocks in enumerate(grid.layers):
            note = number(job, (layer, tuple(blocks), tuple(f"objects/{k}" for k in blocks)))
            job.offsets = (*job.offsets, job.offsets[-1] + note["count"])
        parts = table_parts(len(every))
        assert [load_rows(job, a, b).name.tolist() for _, a, b in parts] == [every[a:b].tolist() for _, a, b in parts]
        assert (parts[0][1], parts[-1][2]) == (0, len(every))
        assert [p for p, _, _ in parts] == list(range(len(parts)))
    for k in range(len(grid)):
        ranks = job.scratch.load(f"ranks/{k}")
        assert ranks["name"].tolist() == every[owners == k].tolist()
        ids = ranks["rank"] + job.offsets[grid.layer(k)]
        assert ids.tolist() == (np.flatnonzero(owners == k) + 1).tolist()


def test_parts_do_not_depend_on_blocks(tmp_path: Path, flow_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assign_ids, "ROWS_A_PART", 20)
    monkeypatch.setattr(assign_ids, "ROWS_AN_ENTRY", 7)
    seen = []
    for block in [(36, 60, 68), (20, 32, 32), (9, 60, 17)]:
        result = bigcell.segment(flows=flow_store, output=tmp_path / f"{block}.zarr", block=block, cluster="serial")
        assert result.path is not None
        seen.append(files_of(Path(result.path) / "objects.parquet"))
    assert len(seen[0]) == -(-result.objects // 20) > 2
    assert seen[0] == seen[1] == seen[2]
    assert read_objects(Path(result.path) / "objects.parquet")["id"].tolist() == list(range(1, result.objects + 1))


def test_finished_parts_are_not_written_again(
    tmp_path: Path, flow_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assign_ids, "ROWS_A_PART", 20)
    plain = bigcell.segment(flows=flow_store, output=tmp_path / "plain.zarr", block=(20, 32, 32), cluster="serial")
    seen: list[str] = []

    def stop(event: Any) -> None:
        if getattr(event, "key", None) == "1" and event.stage == "write_table":
            raise RuntimeError("stopped by the test")

    with pytest.raises(RuntimeError, match="stopped by the test"):
        bigcell.segment(
            flows=flow_store, output=tmp_path / "out.zarr", block=(20, 32, 32), cluster="serial", listener=stop
        )
    kept = tmp_path / "out.zarr.bigcell" / "cells" / "objects.parquet"
    assert [p.name for p in sorted(kept.iterdir())] == ["part-00000.parquet", "part-00001.parquet"]

    def tell(event: Any) -> None:
        if isinstance(event, StageStarted) and event.stage == "write_table":
            seen.append(f"{event.done} of {event.total}")

    resumed = bigcell.resume(tmp_path / "out.zarr", cluster="serial", listener=tell)
    assert seen == [f"2 of {-(-resumed.objects // 20)}"]
    assert plain.path is not None
    assert resumed.path is not None
    assert files_of(Path(resumed.path)) == files_of(Path(plain.path))
