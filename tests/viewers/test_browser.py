"""Views as a browser shows them: headless Chromium draws the real page, and the pixels are counted."""

from __future__ import annotations

import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from bigcell.io.ngff.image import open_image
from bigcell.metrics.mistakes import Mistake
from bigcell.viewers.comparison import gather, open_links
from bigcell.viewers.neuroglancer import view

SIZE = {"width": 900, "height": 700}

pytestmark = pytest.mark.browser


def photograph(browser: Any, shown: Any, path: Path) -> np.ndarray:
    """The page once everything visible is drawn, RGB 0..255; requests to elsewhere are an error."""
    page = browser.new_page(viewport=SIZE)
    elsewhere: list[str] = []
    errors: list[str] = []
    page.on("request", lambda r: None if "127.0.0.1" in r.url or ":" not in r.url[:8] else elsewhere.append(r.url))
    page.on("pageerror", lambda e: errors.append(str(e)))
    try:
        page.goto(shown.url, timeout=120_000, wait_until="commit")
        drawn = threading.Event()
        shown.viewer.async_screenshot(lambda _: drawn.set())  # comes back when all visible chunks are on the screen
        for _ in range(900):
            if drawn.is_set():
                break
            page.wait_for_timeout(100)  # lets the page's events in
        assert drawn.is_set(), f"the page was not drawn in 90 s: {errors}"
        page.screenshot(path=str(path))
    finally:
        page.close()
    assert errors == []
    assert [url for url in elsewhere if url.startswith("http")] == []
    picture = matplotlib.image.imread(BytesIO(path.read_bytes()))
    return np.rint(picture[..., :3] * 255).astype(int)


def vivid_colours(picture: np.ndarray, least: int = 30) -> int:
    """Distinct saturated hues with at least so many pixels each: segments are told apart by hue."""
    spread = picture.max(-1) - picture.min(-1)
    colours, counts = np.unique(picture[spread > 50] // 12, axis=0, return_counts=True)
    return int((counts >= least).sum()) if len(colours) else 0


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_in_many_colours_over_the_image(browser: Any, make_store: Any, tmp_path: Path, version: str) -> None:
    store = make_store(version=version, channels=1)
    with view(store) as shown:
        both = photograph(browser, shown, tmp_path / f"view-{version}.png")
        assert vivid_colours(both) >= 20
        state = shown.state
        state["layers"][-1]["visible"] = False
        state["selectedLayer"] = {"visible": False}
        shown.viewer.set_state(state)
        image = photograph(browser, shown, tmp_path / f"image-{version}.png")
    panel = image[60:330, 20:430]  # of the xy panel
    grey = (panel.max(-1) - panel.min(-1)) < 8
    assert (grey & (panel.min(-1) > 150)).mean() > 0.1, "bright balls of the image layer"
    assert vivid_colours(panel) == 0


def test_two_channels_add_up_in_their_colours(browser: Any, make_store: Any, tmp_path: Path) -> None:
    with view(make_store(names=())) as shown:
        picture = photograph(browser, shown, tmp_path / "channels.png")[60:330, 20:430]
    assert (picture.min(-1) > 150).mean() > 0.1, "green and magenta at full give white"


def test_the_object_asked_for_is_in_the_middle_of_the_page(browser: Any, make_store: Any, tmp_path: Path) -> None:
    """Only one object is drawn; the panel is the page below its bars. The letters of the axes are above row 110."""
    middles = []
    for number in (9, 15):
        with view(make_store(f"{number}.zarr", channels=1, flat=True), object_id=number) as shown:
            state = shown.state
            state["layers"][0]["visible"] = False
            state["layers"][1]["notSelectedAlpha"] = 0
            state["selectedLayer"] = {"visible": False}
            state["showScaleBar"] = False
            shown.viewer.set_state(state)
            picture = photograph(browser, shown, tmp_path / "object.png")
        drawn = np.argwhere((picture.max(-1) - picture.min(-1))[110:] > 50) + np.array([110, 0])
        middles.append((drawn.min(0) + drawn.max(0)) / 2)
        assert len(drawn) > 2000
    voxel = 1 / state["crossSectionScale"]
    assert abs(middles[0][1] - SIZE["width"] / 2) < voxel
    assert abs(middles[0][0] - (SIZE["height"] + 50) / 2) < 3 * voxel
    assert np.abs(middles[0] - middles[1]).max() < 2, "whichever object it is"


def test_a_link_opens_at_the_cell_that_went_wrong(
    browser: Any, write_multiscale: Any, ball_labels: np.ndarray, tmp_path: Path
) -> None:
    about = {"axes": "zyx", "image-label": {}}
    truth = open_image(write_multiscale(tmp_path / "truth.zarr", ball_labels, **about))
    found = open_image(write_multiscale(tmp_path / "found.zarr", np.roll(ball_labels, 3, 1), **about))
    page = browser.new_page(viewport=SIZE)
    try:
        with open_links("serve", gather(found, truth)) as (make, _):
            link = make(Mistake("poor", 40, 40, 0.5, True, 1, 1100, (24.0, 24.2, 55.8)))
            page.goto(link, timeout=120_000, wait_until="commit")
            layers = "window.viewer && viewer.layerManager.managedLayers"
            page.wait_for_function(f"{layers}.length == 2 && {layers}.every(l => l.isReady())", timeout=90_000)
            state = page.evaluate("viewer.state.toJSON()")
            page.wait_for_timeout(1500)
            picture = matplotlib.image.imread(BytesIO(page.screenshot()))
            assert page.get_by_text("Disconnected").count() == 0
    finally:
        page.close()
    assert state["position"] == [56, 24, 24]
    assert [(lay["name"], lay["segments"]) for lay in state["layers"]] == [("truth", ["40"]), ("found", ["40"])]
    assert 1 <= vivid_colours(np.rint(picture[60:330, 20:290, :3] * 255).astype(int)) <= 4, "the cell, and no others"
