"""The page of failures: each number names a test, and each test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "explanation" / "failures.md").read_text()
NUMBERED = re.split(r"^(\d+)\. ", PAGE.partition("\n## ")[0], flags=re.MULTILINE)[1:]
ENTRIES = dict(zip(NUMBERED[::2], NUMBERED[1::2], strict=True))


def test_numbers_count_up() -> None:
    assert list(ENTRIES) == [str(k + 1) for k in range(len(ENTRIES))]
    assert len(ENTRIES) >= 30


@pytest.mark.parametrize("number", ENTRIES)
def test_a_number_names_tests_that_are_there(number: str) -> None:
    named = re.findall(r"`(tests/[\w/.]+)::(\w+)`", ENTRIES[number])
    assert named, f"number {number} names no test"
    for file, test in named:
        assert f"def {test}(" in (ROOT / file).read_text(), f"{file} has no {test}"
