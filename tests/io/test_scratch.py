from __future__ import annotations

import errno
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from bigcell.core.box import Box
from bigcell.core.errors import OutputError
from bigcell.io import scratch as scratch_module
from bigcell.io.scratch import DiskScratch, MemoryScratch, Scratch, pack, unpack


@pytest.fixture(params=["memory", "disk"])
def scratch(request: pytest.FixtureRequest, tmp_path: Path) -> Scratch:
    return MemoryScratch() if request.param == "memory" else DiskScratch(tmp_path / "work")


def test_small_arrays_come_back(scratch: Scratch) -> None:
    scratch.save("ends/3", {"a": np.arange(5), "mask": np.array([1, 0], np.uint8)})
    back = scratch.load("ends/3")
    assert back["a"].tolist() == [0, 1, 2, 3, 4]
    assert back["mask"].dtype == np.uint8


@pytest.mark.parametrize("shape", [(70, 65, 3), (4, 1, 130, 20)])
def test_dense_arrays_are_read_box_by_box(scratch: Scratch, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(-9, 9, shape).astype(np.int16)
    scratch.save_dense("flows/0", values)
    box = Box((0, 3, 1), (1, 60, 3))
    assert np.array_equal(scratch.load_dense("flows/0", box), values[(..., *box.slices)])


def test_lines_come_back_by_log(scratch: Scratch) -> None:
    for line in (b"7 {}", b"8 {}"):
        scratch.append("done/follow_flows", line)
    scratch.append("done/label_blocks", b"7 {}")
    assert list(scratch.lines("done/follow_flows")) == [b"7 {}", b"8 {}"]
    assert list(scratch.lines("done/label_blocks")) == [b"7 {}"]
    assert list(scratch.lines("done/write_labels")) == []


def test_any_number_of_processes_append_to_a_log(tmp_path: Path) -> None:
    scratch = DiskScratch(tmp_path / "work")
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        list(pool.map(_append_some, [scratch] * 3, range(3)))
    assert sorted(scratch.lines("log")) == sorted(b"%d-%d" % (w, i) for w in range(3) for i in range(50))
    assert 1 <= len(list((tmp_path / "work" / "log").iterdir())) <= 3


def _append_some(scratch: DiskScratch, writer: int) -> None:
    for i in range(50):
        scratch.append("log", b"%d-%d" % (writer, i))


def test_a_line_that_was_cut_short_does_not_spoil_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch, write = DiskScratch(tmp_path), os.write
    scratch.append("log", b"one")
    monkeypatch.setattr(os, "write", lambda file, content: write(file, content[:3]))
    with pytest.raises(OutputError, match=r"No space left.*make room.*resume"):
        scratch.append("log", b"two")
    monkeypatch.undo()
    scratch.append("log", b"three")
    assert list(scratch.lines("log")) == [b"one", b"tw", b"three"]


def test_a_full_disk_is_one_sentence_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = DiskScratch(tmp_path / "work")
    scratch.save("ends/0", {"a": np.arange(3)})

    def full(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"No space left.*make room.*resume"):
        scratch.save("ends/1", {"a": np.arange(3)})
    assert os.listdir(tmp_path / "work" / "ends") == ["0.arrays"]


def test_tables_come_back_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch_module, "_FRAME", 100)
    rng = np.random.default_rng(0)
    arrays = {
        "rows": rng.integers(-9, 9, (50, 3)).astype(np.int8),
        "wide": rng.random((7, 40)),
        "flags": rng.random(31) < 0.5,
        "none": np.zeros((0, 3), np.int64),
        "one": np.array(7),
        "turned": rng.integers(0, 9, (4, 5)).T,
    }
    back = unpack(pack(arrays))
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array)
        assert back[name].flags.writeable


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"7\n", b'[["a", "|O", [1], [3]]]\nabc', b'[["a", "<i8", [1], [9]]]\nabc']
)
def test_anything_else_is_refused_and_not_run(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"numbers|not a table|not found"):
        unpack(content)
    with pytest.raises(ValueError, match="numbers"):
        pack({"a": np.array([{}], object)})


def test_a_cut_table_is_refused(tmp_path: Path) -> None:
    scratch = DiskScratch(tmp_path)
    scratch.save("a", {"x": np.arange(1000)})
    file = tmp_path / "a.arrays"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ValueError, match="damaged"):
        scratch.load("a")
