"""Pages that are written from the code are as it is, and every argument of Cellpose has its row."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bigcell.engine.planning.options import Options
from bigcell.engine.runs.inputs import RUN
from bigcell.training.settings import TrainingSettings
from bigcell.training.train import VERB

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "coming-from-cellpose.md").read_text()
OURS = {"segment": {*Options.__annotations__, *RUN, "axes"}, "train": {*TrainingSettings.__dataclass_fields__, *VERB}}


def rows(verb: str) -> dict[str, tuple[str, str]]:
    """What the page says beside each argument of Cellpose."""
    part = PAGE.partition(f"<!-- {verb}: ")[2].partition(f"<!-- end of {verb}")[0]
    return {
        name: (here, why) for name, here, why in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", part, re.MULTILINE)
    }


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    import write_reference

    return write_reference


def test_pages_are_as_they_would_be_written(writer: ModuleType) -> None:
    for path, text in writer.pages():
        assert path.read_text() == text, f"{path.name} is old: python scripts/write_reference.py"


def test_every_argument_of_the_released_packages_has_a_row() -> None:
    released = json.loads((ROOT / "tests" / "core" / "cellpose_names.json").read_text())
    named = {name for calls in released.values() for names in calls.values() for name in names}
    assert len(named) > 100
    assert named - {*rows("segment"), *rows("train")} == {"version"}
    assert "`--version`" in PAGE


@pytest.mark.parametrize("verb", ["segment", "train"])
def test_rows_name_options_that_are_there(verb: str) -> None:
    for name, (here, why) in rows(verb).items():
        options = re.findall(r"`(\w+)", here)
        assert set(options) <= OURS[verb], name
        assert options or here in ("none", "another way"), name
        assert why[-1] == ".", name


def test_every_public_name_is_on_the_page_of_python() -> None:
    import bigcell

    page = (ROOT / "docs" / "reference" / "python.md").read_text()
    shown = re.findall(r"^::: (bigcell\.[\w.]+)", page.partition("## Options")[0], re.MULTILINE)
    assert sorted(shown) == sorted(f"{home}.{name}" for name, home in bigcell._HOME.items())


def test_the_figure_of_concepts_is_as_it_would_be_drawn() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    import draw_concepts

    assert draw_concepts.FILE.read_text() == draw_concepts.figure(), "python scripts/draw_concepts.py"
