"""Names that were private words of ours, and have a standard one now: none of them comes back."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import bigcell

ROOT = Path(bigcell.__file__).parent
GLOSSARY = (ROOT.parent / "docs" / "glossary.md").read_text()
RETIRED = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", GLOSSARY, re.MULTILINE))
"""Old name to new name, as the last table of the glossary has them."""
FILES = sorted(ROOT.rglob("*.py"))


def defined(path: Path) -> set[str]:
    """Every name that a file defines: classes, functions, arguments and what is assigned."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


DEFINED = {path: defined(path) for path in FILES}


def test_the_glossary_lists_retired_names() -> None:
    assert len(RETIRED) > 20


@pytest.mark.parametrize("old", RETIRED)
def test_no_retired_name_comes_back(old: str) -> None:
    found = [path.relative_to(ROOT).as_posix() for path in FILES if old in DEFINED[path] or old == path.stem]
    assert not found, f"{old} is called {RETIRED[old]} now"


@pytest.mark.parametrize("new", sorted(set(RETIRED.values())))
def test_the_new_name_is_in_use(new: str) -> None:
    assert any(new in names or path.stem == new for path, names in DEFINED.items())
