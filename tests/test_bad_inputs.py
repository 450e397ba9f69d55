"""A sample of the bad inputs that `tests/bad_inputs.py` makes, held to the table of what each was told."""

from __future__ import annotations

import re

import pytest

from tests.bad_inputs import HEAD, TABLE, Bench, Case, cases, line, run_all

QUICK = re.compile(r"inspect|convert|status|resume|report|worker|rerun|evaluate|masks|synthetic|segment --flows")
SAMPLE = 40


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bad"))


def sampled() -> list[Case]:
    """Some of those that need no network, evenly out of the whole list."""
    quick = [case for case in cases() if QUICK.match(case.door)]
    return quick[:: len(quick) // SAMPLE][:SAMPLE]


def ours(row: str) -> str:
    """A row without what other libraries say, which stands in parentheses and changes with their versions."""
    return re.sub(r"\(.*\)", "()", row)


def test_the_table_lists_every_bad_input_once() -> None:
    rows = TABLE.read_text().removeprefix(HEAD).splitlines()
    assert len(rows) == len(list(cases())) >= 400
    assert len(set(rows)) == len(rows)
    assert not [row for row in rows if "unexpected" in row or "Traceback" in row]


@pytest.mark.chaos
def test_a_sample_is_told_what_the_table_says(bench: Bench) -> None:
    rows = {ours(row) for row in TABLE.read_text().splitlines()}
    found = run_all(bench, sampled())
    assert [(case.name, told) for case, told in found if told.fault] == []
    assert [row for case, told in found if (row := line(case, told)) and ours(row) not in rows] == []


@pytest.mark.chaos
def test_every_bad_input_gets_one_sentence(bench: Bench) -> None:
    found = run_all(bench, list(cases()))
    assert [(case.name, told) for case, told in found if told.fault] == []
