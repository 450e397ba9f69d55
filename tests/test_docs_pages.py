"""Pages lead somewhere, name what is there, and list every field of the files that a run writes."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from bigcell.engine.runs.run_folder import tallies
from bigcell.io.tables import COLUMNS
from bigcell.provenance.record import RunRecord
from bigcell.training.output.card import card_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
FILES = (DOCS / "reference" / "files.md").read_text()


def section(heading: str) -> str:
    """A part of the page of files, down to the next heading of its kind."""
    return FILES.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> set[str]:
    """The words in code in the first cell of each row."""
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`([\w/.<>]+)`", row)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith(("https://", "#")):
            assert (page.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_paths_in_code_are_there(page: Path) -> None:
    for path in re.findall(
        r"`((?:bigcell|tests|scripts|docs|benchmarks|examples|findings)/[\w./-]+)[`:]", page.read_text()
    ):
        assert (ROOT / path).exists() or path == "benchmarks/results/", path  # which benchmarks make


def test_every_page_is_in_the_navigation() -> None:
    named = re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(p.relative_to(DOCS).as_posix() for p in PAGES[1:])


def test_columns_of_the_object_table() -> None:
    assert first_cells(section("Object table")) == set(COLUMNS)
    for names, kind in re.findall(r"^\| (`.*?) \| (\w+) \|", section("Object table"), re.MULTILINE):
        assert {COLUMNS[name].__name__.rstrip("_") for name in re.findall(r"`(\w+)`", names)} == {kind}


def test_fields_of_the_record() -> None:
    counts = re.findall(r'^        "(\w+)":', inspect.getsource(tallies), re.MULTILINE)
    assert len(counts) > 5
    expected = {field.name for field in fields(RunRecord)} | {"objects", "labels_sha256", *counts}
    assert first_cells(section("Record")) == expected


def test_fields_of_the_card() -> None:
    keys = re.findall(r'^        "(\w+)":', inspect.getsource(card_of), re.MULTILINE)
    assert first_cells(section("Model card")) == set(keys)


@cache
def sentences() -> str:
    """Every text in the sources, a line each; what is filled in is left out."""
    found = []
    for path in (ROOT / "bigcell").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


MESSAGES = re.findall(r"The message says `([^`]+)`", (DOCS / "troubleshooting.md").read_text())


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_of_troubleshooting_are_in_the_sources(message: str) -> None:
    assert message in sentences()


def test_decisions_are_all_listed() -> None:
    folder = DOCS / "explanation" / "decisions"
    listed = dict(re.findall(r"^\* \[\d+\]\(([\w-]+\.md)\): (.*)$", (folder / "index.md").read_text(), re.MULTILINE))
    assert sorted(listed) == sorted(p.name for p in folder.glob("0*.md"))
    for name, title in listed.items():
        found = re.match(r"# \d+:? (.*)\n", (folder / name).read_text())
        assert found, name
        assert found[1].lower() == title.lower()
