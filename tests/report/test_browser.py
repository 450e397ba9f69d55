"""The report in headless Chromium: no errors, nothing loaded, the map drawn, wide, narrow and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bigcell

COLOURS = "document.getElementById('map').toDataURL()"

pytestmark = pytest.mark.browser


@pytest.fixture
def report(flow_store: Path) -> Path:
    result = bigcell.segment(flows=flow_store, block=(20, 32, 32), cluster="serial")
    return Path(str(result.path)) / "report.html"


@pytest.fixture
def visit(browser: Any, report: Path) -> Iterator[Any]:
    """Opens the page from the disk; anything it complains of, or asks for, is an error in the end."""
    wrong: list[str] = []
    pages = []

    def visit(width: int, scheme: str = "light") -> Any:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else wrong.append(r.url))
        page.goto(report.as_uri())
        return page

    yield visit
    for page in pages:
        page.close()
    assert wrong == []


@pytest.mark.parametrize("width", [1100, 400])
def test_nothing_sticks_out(visit: Any, width: int) -> None:
    page = visit(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("section").count() >= 8
    for name in ("Stages", "Blocks", "Over time", "Memory", "Sizes", "Seams", "Places"):
        assert page.get_by_role("heading", name=name, exact=True).is_visible()
    small = page.evaluate("""() => Math.min(...Array.from(document.querySelectorAll("p, td, span, dd, li, figcaption"))
        .filter((e) => e.textContent).map((e) => parseFloat(getComputedStyle(e).fontSize)))""")
    assert small >= 11


def test_the_map_shows_what_is_chosen(visit: Any) -> None:
    page = visit(1100)
    seen = [page.evaluate(COLOURS)]
    page.get_by_label("objects", exact=True).check()
    seen.append(page.evaluate(COLOURS))
    page.get_by_label("layer").fill("2")
    seen.append(page.evaluate(COLOURS))
    assert len(set(seen)) == 3
    assert "layer 2 of 2, z 20:36" in page.inner_text("#layer-says")
    page.locator("#map").hover(position={"x": 3, "y": 3})
    assert page.inner_text("#where").startswith("y 0:32, x 0:32: ")


def test_dark_where_the_reader_has_it_dark(visit: Any) -> None:
    light, dark = (
        visit(1100, s).evaluate("getComputedStyle(document.body).backgroundColor") for s in ("light", "dark")
    )
    brightness = [sum(int(c) for c in text[4:-1].split(",")) for text in (light, dark)]
    assert brightness[0] > 600
    assert brightness[1] < 120
