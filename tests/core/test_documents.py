"""JSON that anybody may have written: every way in which it is none of ours is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bigcell.core.documents import is_number, object_or_empty, parse_object, read_object
from bigcell.core.errors import InputError

REFUSED = {
    "nothing": b"",
    "half": b'{"a": ',
    "a list": b"[1]",
    "null": b"null",
    "not a number": b'{"a": NaN}',
    "infinite": b'{"a": -Infinity}',
    "beyond floats": b'{"a": 1e999}',
    "a whole number beyond floats": b'{"a": 1' + b"0" * 309 + b"}",
    "a number of thousands of digits": b'{"a": ' + b"9" * 10_000 + b"}",
    "deep": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "half a letter": b'{"a": "\\udcff"}',
    "not UTF-8": b'{"a": "\xff"}',
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_none_of_our_json_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the document .*(damaged|trust)"):
        parse_object(content, "the document")
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json"):
        read_object(tmp_path / "a.json")


def test_what_python_writes_comes_back() -> None:
    values = {"a": [1, 2.5, 1.7e308, -(2**63), 2**64 - 1, None, True, "é"], "b": {"c": {}}}
    assert parse_object(json.dumps(values), "it") == values


def test_a_folder_in_place_of_a_file_is_told_and_none_at_all_is_the_callers_to_tell(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_object(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_object(tmp_path / "absent.json")


def test_numbers_are_those_that_fit_a_float() -> None:
    assert all(map(is_number, (0, -1, 2.5, 10**308)))
    assert not any(map(is_number, (float("inf"), float("nan"), 10**309, True, "1", None, [1], 1j)))


def test_where_nothing_is_needed_a_bad_document_is_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert object_or_empty(path) == {}
    for content in REFUSED.values():
        path.write_bytes(content)
        assert object_or_empty(path) == {}
    path.write_bytes(b'{"a": 1}')
    assert object_or_empty(path) == {"a": 1}
    assert object_or_empty(tmp_path) == {}
