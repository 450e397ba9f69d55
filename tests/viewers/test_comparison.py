"""Links to cells that went wrong: both labellings selected, over the image, at the cell; and what cannot be linked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import zarr

from bigcell.core.errors import InputError, SettingsError
from bigcell.io.ngff.image import open_image, read_info
from bigcell.metrics.mistakes import Mistake
from bigcell.viewers.comparison import Links, around, gather, open_links, remote_links
from bigcell.viewers.shown import Shown

SPLIT = Mistake("split", 40, 7, 0.4, False, 2, 1100, (24.0, 24.2, 55.8))
EXTRA = Mistake("extra", 0, 12, 0.0, False, 0, 20, (0.1, 0.2, 95.4))


def layer(state: dict[str, Any], name: str) -> dict[str, Any]:
    return next(lay for lay in state["layers"] if lay["name"] == name)


@pytest.fixture
def stores(make_store: Any) -> tuple[Path, Path]:
    """An image with labels, and the truth in a store of its own."""
    return make_store("image.zarr"), make_store("truth.zarr") / "labels" / "cells"


def links(stores: tuple[Path, Path], page: str = "http://page/v/1/") -> Links:
    found, truth = open_image(stores[0] / "labels" / "cells"), open_image(stores[1])
    shown = gather(found, truth)
    infos = [shown.image, *shown.labels.values()]
    return Links(shown, {info.source: f"http://data/{i}/" for i, info in enumerate(infos)}, page, windows=((0, 9),) * 2)


def test_a_link_shows_both_labellings_over_the_image(stores: tuple[Path, Path]) -> None:
    address = links(stores)(SPLIT)
    page, _, fragment = address.partition("#!")
    assert page == "http://page/v/1/"
    state = json.loads(unquote(fragment))
    assert [(lay["name"], lay["type"]) for lay in state["layers"]] == [
        ("membrane", "image"),
        ("DNA", "image"),
        ("truth", "segmentation"),
        ("found", "segmentation"),
    ]
    assert layer(state, "truth")["segments"] == ["40"]
    assert layer(state, "found")["segments"] == ["7"]
    assert layer(state, "truth")["source"] != layer(state, "found")["source"]
    assert all("visible" not in lay for lay in state["layers"])
    assert state["position"] == [56, 24, 24]
    assert state["selectedLayer"]["layer"] == "truth"


def test_a_cell_without_partner_shows_all_of_the_other_side(stores: tuple[Path, Path]) -> None:
    state = links(stores).state(EXTRA)
    assert layer(state, "found")["segments"] == ["12"]
    assert "segments" not in layer(state, "truth")
    assert state["selectedLayer"]["layer"] == "found"
    assert state["crossSectionScale"] < links(stores).state(SPLIT)["crossSectionScale"], "a smaller cell is nearer"


def test_places_stay_in_the_volume() -> None:
    at = around(EXTRA, (48, 80, 96))
    assert at.centre == (0, 0, 95)
    assert (at.box.start, at.box.stop) == ((0, 0, 93), (3, 3, 96))
    assert around(EXTRA, (1, 80, 96)).box.shape == (1, 4, 4), "the side of a square of 20 voxels"


def test_serving(stores: tuple[Path, Path]) -> None:
    shown = gather(open_image(stores[0] / "labels" / "cells"), open_image(stores[1]))
    with open_links("serve", shown) as (make, view):
        assert view is not None
        assert make(SPLIT).startswith(f"{view.page_for_links().rstrip('/')}/#!")
        sources = {lay["source"] for lay in make.state(SPLIT)["layers"]}
        assert sources == {lay["source"] for lay in view.state["layers"]}, "what the page shows first is the same"


def test_elsewhere(stores: tuple[Path, Path]) -> None:
    from dataclasses import replace

    info = read_info(stores[1])
    far = Shown(None, {name: replace(info, source=f"s3://bucket/{name}.zarr") for name in ("truth", "found")})
    state = remote_links(far, "https://ng.example.org").state(SPLIT)
    assert layer(state, "truth")["notSelectedAlpha"] == 0, "without an image the other cells would hide the two"
    assert layer(state, "found")["source"] == "zarr://s3://bucket/found.zarr"
    secret = Shown(None, {**far.labels, "found": replace(info, source="https://me:word@host/found.zarr")})
    with pytest.raises(InputError, match="a password, which a link would tell") as told:
        remote_links(secret, "https://ng.example.org")
    assert "word@" not in str(told.value)
    with pytest.raises(InputError, match="use --link serve"):
        remote_links(Shown(None, {"truth": info, "found": info}), "https://ng.example.org")
    with pytest.raises(SettingsError, match="wanted serve"):
        remote_links(far, "file:///ng")


def test_a_time_point_is_gone_to(tmp_path: Path, write_multiscale: Callable[..., Path]) -> None:
    labels = np.zeros((3, 4, 8, 8), np.uint32)
    store = write_multiscale(tmp_path / "t.zarr", labels, axes="tzyx", levels=1, **{"image-label": {}})
    info = read_info(store)
    made = Links(Shown(None, {"truth": info, "found": info}), {info.source: "http://data/"}, "http://p", time=2)
    assert made.state(EXTRA)["position"][-1] == 2
    assert list(made.state(EXTRA)["dimensions"])[-1] == "t"


def test_the_image_is_that_of_the_labels(stores: tuple[Path, Path], make_store: Any) -> None:
    found, truth = open_image(stores[0] / "labels" / "cells"), open_image(stores[1])
    assert gather(found, truth).image.source == str(stores[0])
    other = make_store("other.zarr")
    assert gather(found, truth, other).image.source == str(other)
    zarr.open_group(stores[0], mode="a").attrs.clear()
    assert gather(found, truth).image is None, "it was moved away"
