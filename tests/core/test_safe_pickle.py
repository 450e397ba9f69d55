"""Pickles in .npy files: what is plain comes back, what would act or fill the memory is refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

from bigcell.core.errors import InputError
from bigcell.core.safe_pickle import as_array, read_plain_npy

LIMIT = 1 << 24


def raw(path: Path, content: bytes) -> Path:
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(content)
    return path


def saved(path: Path, value: object, protocol: int) -> Path:
    boxed = np.empty((), object)
    boxed[()] = value
    return raw(path, pickle.dumps(boxed, protocol=protocol))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i8", "b1", "f4", ">i4"])
def test_arrays_come_back(kind: str, protocol: int, tmp_path: Path) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(kind)
    given = {"a": values, "f": np.asfortranarray(values), "text": "x", "list": [1, None, 2.5], "path": Path("a/b")}
    found: Any = read_plain_npy(saved(tmp_path / "a.npy", given, protocol), limit=LIMIT)
    assert np.array_equal(as_array(found["a"]), values)
    assert np.array_equal(as_array(found["f"]), values)
    assert found["text"] == "x"
    assert found["list"] == [1, None, 2.5]
    assert "b" in found["path"]


def test_an_array_of_text_is_read_past(tmp_path: Path) -> None:
    given = {"names": np.array(["a", "b"]), "masks": np.ones(3, np.uint16)}
    found: Any = read_plain_npy(saved(tmp_path / "a.npy", given, 4), limit=LIMIT)
    assert as_array(found["masks"]).tolist() == [1, 1, 1]
    with pytest.raises(InputError, match="wanted numbers"):
        as_array(found["names"])


class Command:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_command_is_not_run(protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = saved(tmp_path / "a.npy", {"masks": np.ones(3), "more": Command(mark)}, protocol)
    with pytest.raises(InputError, match=r"a\.npy cannot be read as plain numbers .*might run code"):
        read_plain_npy(path, limit=LIMIT)
    assert not mark.exists()


def test_one_text_does_not_unfold_into_many_bytes(tmp_path: Path) -> None:
    """Each call copies the text: a few bytes of pickle each, and a text as long as the file."""
    text = b"X" + (100_000).to_bytes(4, "little") + b"a" * 100_000 + b"q\x01" + b"0"
    code = b"X" + (6).to_bytes(4, "little") + b"latin1q\x020"
    call = b"c_codecs\nencode\nh\x01h\x02\x86R"
    with pytest.raises(InputError, match="more bytes than it has"):
        read_plain_npy(raw(tmp_path / "a.npy", b"\x80\x02" + text + code + b"]" + call * 50 + b"."), limit=LIMIT)


def test_a_shape_that_lies_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npy", {"masks": np.arange(12, dtype=np.uint16).reshape(3, 4)}, 2)
    content = path.read_bytes().replace(b"K\x03K\x04\x86", b"K\x03M\xff\xff\x86")
    path.write_bytes(content)
    found: Any = read_plain_npy(path, limit=LIMIT)
    with pytest.raises(InputError, match="holds 12 numbers"):
        as_array(found["masks"])


def test_what_is_too_large_or_no_object_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npy", {"masks": np.ones(1000)}, 4)
    with pytest.raises(InputError, match="wanted at most 100"):
        read_plain_npy(path, limit=100)
    np.save(path, np.zeros(3))
    with pytest.raises(InputError, match=r"not an \.npy file of a Python object"):
        read_plain_npy(path, limit=LIMIT)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match=r"a\.npy"):
        read_plain_npy(path, limit=LIMIT)
    with pytest.raises(InputError, match="is not a file"):
        read_plain_npy(tmp_path / "none.npy", limit=LIMIT)


def test_damage_is_an_input_error(tmp_path: Path) -> None:
    whole = saved(tmp_path / "a.npy", {"masks": np.arange(40, dtype=np.uint8), "x": [1, "a"]}, 4).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(80, len(content), 3):
            content[place] = int(rng.integers(256))
        path = tmp_path / "b.npy"
        path.write_bytes(bytes(content))
        try:
            found = read_plain_npy(path, limit=LIMIT)
            if isinstance(found, dict) and "masks" in found:
                as_array(found["masks"])
        except InputError:
            pass
