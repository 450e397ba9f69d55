"""The page of pictures: every picture is there, its code runs, and the whole is small."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_synthetic", ROOT / "scripts" / "draw_synthetic.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_picture_is_there_and_small(draw: ModuleType) -> None:
    page = (ROOT / "docs" / "howto" / "synthetic.md").read_text()
    names = set(draw.examples(page))
    assert len(names) == page.count("](../pictures/")
    assert {p.stem for p in (ROOT / "docs" / "pictures").glob("*.png")} >= names
    assert sum((ROOT / "docs" / "pictures" / f"{n}.png").stat().st_size for n in names) < 300_000


@pytest.mark.parametrize("name", ["spindly", "render", "light"])
def test_code_of_the_page_draws_a_picture(draw: ModuleType, name: str) -> None:
    code = draw.examples((ROOT / "docs" / "howto" / "synthetic.md").read_text())[name]
    drawn = draw.picture(*draw.run(code))
    assert drawn.dtype == np.uint8
    assert drawn.shape[2] == 3
    assert np.ptp(drawn) > 200
