"""Targets at rest: what is written comes back, what was not made is told apart, and labels that change start anew."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from bigcell.core.box import Box
from bigcell.io.labels.training_targets import KeptTargets, contents_digest, kept_beside

SHAPE, SIDE = (3, 40, 50), (16, 16)


def words_of(index: int) -> np.ndarray:
    rng = np.random.default_rng(index)
    return rng.integers(1, 1 << 60, SHAPE[1:], dtype=np.uint64)


def fill(kept: KeptTargets, index: int = 1) -> None:
    words = words_of(index)
    for tile in Box.of(SHAPE[1:]).split(SIDE):
        kept.write((0, 2), SHAPE, SIDE, index, tile, words[tile.slices])


def test_tiles_come_back(tmp_path: Path) -> None:
    kept = KeptTargets(str(tmp_path / "kept"))
    tile = Box((32, 48), (40, 50))
    assert kept.read((0, 2), 1, tile) is None
    kept.write((0, 2), SHAPE, SIDE, 1, tile, words_of(1)[tile.slices])
    assert np.array_equal(kept.read((0, 2), 1, tile), words_of(1)[tile.slices])  # type: ignore[arg-type]
    assert kept.read((0, 2), 0, tile) is None
    assert kept.read((0, 2), 1, Box((0, 0), SIDE)) is None
    assert kept.read((1, 2), 1, tile) is None


def test_processes_may_write_the_same(tmp_path: Path) -> None:
    kept = KeptTargets(str(tmp_path / "kept"))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=fill, args=(kept,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    for tile in Box.of(SHAPE[1:]).split(SIDE):
        assert np.array_equal(kept.read((0, 2), 1, tile), words_of(1)[tile.slices])  # type: ignore[arg-type]


def test_the_digest_knows_names_sizes_and_times(tmp_path: Path) -> None:
    place = tmp_path / "labels"
    (place / "c").mkdir(parents=True)
    (place / "c" / "0").write_bytes(b"abc")
    first = contents_digest(place)
    assert contents_digest(place) == first
    os.utime(place / "c" / "0", ns=(5, 5))
    second = contents_digest(place)
    (place / "c" / "1").write_bytes(b"")
    assert len({first, second, contents_digest(place)}) == 3


def test_what_is_kept_of_other_labels_goes(tmp_path: Path) -> None:
    labels = tmp_path / "labels.tif"
    labels.write_bytes(b"one")
    kept, other = kept_beside(labels, "a"), kept_beside(labels, "b")
    assert kept is not None
    assert other is not None
    assert kept != other
    fill(kept)
    fill(other)
    assert kept_beside(labels, "a") == kept
    assert kept.read((0, 2), 1, Box((0, 0), SIDE)) is not None
    labels.write_bytes(b"other")
    changed = kept_beside(labels, "a")
    assert changed is not None
    assert changed != kept
    assert not Path(kept.folder).exists()
    assert changed.read((0, 2), 1, Box((0, 0), SIDE)) is None


def test_there_is_no_room_beside_what_is_elsewhere(tmp_path: Path) -> None:
    assert kept_beside("s3://bucket/labels", "a") is None
    assert kept_beside(tmp_path / "none", "a") is None


def test_nor_beside_what_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "labels").mkdir()
    assert kept_beside(tmp_path / "labels", "a") is not None
    monkeypatch.setattr("bigcell.io.labels.training_targets.os.access", lambda path, mode: False)
    assert kept_beside(tmp_path / "labels", "a") is None
