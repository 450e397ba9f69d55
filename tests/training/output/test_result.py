"""What a training leaves: a card in the file and beside it, and a page that nothing breaks out of."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from safetensors import safe_open

from bigcell.networks.cache import sha256_of
from bigcell.testing.labelled import synthetic_images
from bigcell.training.output.card import KEY, card_text
from bigcell.training.output.result import CARD, PAGE, Trained
from bigcell.training.settings import TrainingSettings
from bigcell.training.trainer import Data, run_training

EVIL = "</section><script>alert(1)</script>`<img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    out = tmp_path_factory.mktemp("trained")
    data = Data(
        [synthetic_images(2, 64, diameter=12, name=EVIL)],
        [synthetic_images(3, 64, diameter=12, seed=9, channels=1, name=EVIL)],
    )
    settings = TrainingSettings(
        steps=6, epoch=8, batch=4, width=(4, 8), diameter=12, crop=32, channels=2, precision="float32"
    )
    about = {"command": f"bigcell train {EVIL}", "licence": EVIL, "added": f"3 sources of {EVIL}"}
    return run_training(data, out, settings, about=about)


def test_the_card_stands_in_the_model(made: Trained) -> None:
    with safe_open(made.model, framework="pt") as file:
        card = json.loads(file.metadata()[KEY])
    assert card["licence"] == EVIL
    assert card["network"]["diameter"] == 12
    assert card["settings"]["seed"] == 0
    assert made.scores is not None
    assert card["scores"]["ap50"] == made.scores.ap50
    assert len(card["train"]) == 1
    assert card["train"][0]["images"] == 2
    assert re.fullmatch("[0-9a-f]{16}", card["train"][0]["probe"])
    assert card["versions"]["bigcell"]


def test_the_card_for_people(made: Trained) -> None:
    text = made.model.with_name(CARD).read_text()
    assert sha256_of(made.model) in text
    assert "12 pixels" in text
    assert "average precision" in text
    assert "Corrections were added" in text
    assert "seed `0`" in text
    spans = re.findall(r"`[^`\n]*`", text)
    assert sum("<script>" in span for span in spans) == text.count("<script>") > 0  # nowhere but in code spans


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.sources: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_needs_nothing_else(made: Trained) -> None:
    page = made.model.with_name(PAGE).read_text()
    tags = Tags(page)
    assert tags.found.count("img") == 3  # best, median, worst
    assert tags.found.count("polyline") == 5  # two losses, two precisions, the rate
    assert "script" not in tags.found
    assert all(source.startswith("data:image/png;base64,") for source in tags.sources)
    assert "://" not in page
    assert EVIL in tags.words
    for word in ("best: ", "median: ", "worst: ", "average precision", "12 pixels"):
        assert word in tags.words


def test_one_plane_is_shown_once(tmp_path: Path) -> None:
    source = synthetic_images(1, 64, diameter=12)
    settings = TrainingSettings(steps=1, batch=2, width=(4, 8), diameter=12, crop=32, channels=1, precision="float32")
    out = run_training(Data([source], [source]), tmp_path, settings)
    assert Tags(out.model.with_name(PAGE).read_text()).found.count("img") == 1


def test_neighbours_that_differ_in_their_number_are_one_line_of_the_card(made: Trained) -> None:
    with safe_open(made.model, framework="pt") as file:
        card = json.loads(file.metadata()[KEY])
    one = {"images": 1, "share": 0.25}
    card["train"] = [{**one, "name": f"nuclei-{i:03}.zarr", "probe": f"{i}" * 16} for i in range(3)]
    card["train"].append({"images": 7, "share": 0.25, "name": "real", "probe": ""})
    lines = [line for line in card_text(card, "0").splitlines() if "parts in 100" in line]
    assert len(lines) == 2
    assert lines[0].startswith(
        "* `nuclei-000.zarr` to `nuclei-002.zarr`: 3 images, 75.0 parts in 100 of the crops, finger"
    )
    assert lines[1] == "* `real`: 7 images, 25.0 parts in 100 of the crops"
