"""What a stranger meets before any code: files of the package, each thing said once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import bigcell

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md", "CITATION.cff"]


def test_hooks_before_a_commit_are_the_calls_of_check() -> None:
    calls = (ROOT / "scripts" / "check").read_text().partition(". scripts/env dev\n")[2].splitlines()
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [hook["entry"] for hook in repo["hooks"]] == [call for call in calls if call]


def test_the_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "bigcell/__init__.py"
    assert f'__version__ = "{bigcell.__version__}"' in (ROOT / "bigcell" / "__init__.py").read_text()
    assert "\nversion:" not in (ROOT / "CITATION.cff").read_text()


def test_types_are_shipped() -> None:
    assert (ROOT / "bigcell" / "py.typed").read_text() == ""


def test_the_citation_has_what_its_format_asks_for() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["authors"] == [{"name": "The bigcell authors"}]


def test_pages_name_files_that_are_there_and_nobodys_address() -> None:
    for name in PAGES:
        text = (ROOT / name).read_text()
        assert not re.findall(r"[\w.+-]+@[\w-]+\.\w+", text), name
        for target in re.findall(r"\]\(([^)#]+)", text):
            assert "://" in target or (ROOT / target).exists(), f"{name} links to {target}"
