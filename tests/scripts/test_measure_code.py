"""scripts/measure_code.py on a package small enough to count by eye."""

from __future__ import annotations

import doctest
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = '''
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    import small.one


def judged(a: Any, b: int) -> Any:
    """Says what
    it does."""
    import json

    if a and b:
        return json.dumps(a)
    return [x for x in range(b) if x]
'''


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure_code", ROOT / "scripts" / "measure_code.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "measure_code", module)  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    (folder / "engine").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "one.py").write_text("from . import two\n")
    (folder / "two.py").write_text("def late() -> None:\n    from small.one import two\n")
    (folder / "engine" / "judge.py").write_text(ENGINE)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_one.py").write_text("pass\n" * 9)
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["Absent-Thing>=2", "json; extra"]\n')
    return folder


def seen(measure: ModuleType, folder: Path) -> dict[str, str]:
    return {row.what: row.seen for row in measure.rows(measure.Package(folder))}


def test_every_figure_of_a_small_package(measure: ModuleType, small: Path) -> None:
    assert seen(measure, small) == {
        "function body, lines: median": "3",
        "function body, lines: p95": "5",
        "function body, lines: longest": "5",
        "branching: p95": "5",
        "files in the fullest folder": "2",
        "circles of files": "1",
        "imports inside functions": "2",
        "Any in engine": "2",
        "test lines per source line": "0.50",
        "py.typed": "no",
        "core dependencies nobody imports": "1",
    }
    assert list(measure.details(measure.Package(small))) == [
        "circle: small.one, small.two",
        "imported by no file: absent-thing",
        "Any in engine: judge 2",
    ]


def test_a_package_without_tests_or_a_list_of_dependencies(measure: ModuleType, small: Path) -> None:
    (small.parent / "pyproject.toml").unlink()
    (small.parent / "tests" / "test_one.py").unlink()
    (small / "py.typed").touch()
    found = seen(measure, small)
    assert found["core dependencies nobody imports"] == found["test lines per source line"] == "?"
    assert found["py.typed"] == "yes"


def test_it_prints_what_is_wanted_beside_what_is_seen(
    measure: ModuleType, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measure.main([str(small)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("small: 4 files, 18 lines\n")
    assert "circles of files                             0  1             NOT YET" in printed
    with pytest.raises(SystemExit):
        measure.main([str(small.parent / "nowhere")])


def test_its_examples_hold(measure: ModuleType) -> None:
    assert doctest.testmod(measure).failed == 0
