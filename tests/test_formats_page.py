"""The page of formats says what the code does: its tables are held to it, row by row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bigcell.core.units import um_per

PAGE = (Path(__file__).parent.parent / "docs" / "formats.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    table = PAGE.partition(f"\n## {heading}\n")[2].partition("\n|---")[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


@pytest.mark.parametrize("row", rows("Units of length"), ids=lambda row: row[0])
def test_units_of_the_page(row: list[str]) -> None:
    for spelled in re.findall(r"`([^`]+)`", row[0] + row[2]):
        assert f"{um_per(spelled):g}" == row[1], spelled


def test_what_the_page_calls_no_length() -> None:
    listed = PAGE.partition("These are no lengths:")[2].partition("\n\n")[0]
    assert [um_per(unit) for unit in re.findall(r"`([^`]+)`", listed)] == [None] * 3
