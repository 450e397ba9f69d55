"""The state of a view, without a browser: axes, voxel sizes, layers, contrast, position; and what is refused."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from bigcell.core.axes import Spacing
from bigcell.core.errors import InputError
from bigcell.io.tables import ObjectTable
from bigcell.viewers.neuroglancer import view
from bigcell.viewers.shown import contrast, find_in, find_shown


def state_of(store: Path, **options: Any) -> dict[str, Any]:
    with view(store, **options) as shown:
        return shown.state


def layer(state: dict[str, Any], name: str) -> dict[str, Any]:
    return next(lay for lay in state["layers"] if lay["name"] == name)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_volume_is_shown_whole(make_store: Any, version: str) -> None:
    state = state_of(make_store(version=version))
    assert list(state["dimensions"]) == ["x", "y", "z"], "so that xy shows y down and x across"
    assert [v[0] for v in state["dimensions"].values()] == pytest.approx([0.5e-6, 0.5e-6, 2e-6])
    assert {v[1] for v in state["dimensions"].values()} == {"m"}
    assert state["position"] == [48, 40, 24]
    assert state["layout"] == "4panel"
    assert state["showAxisLines"] is False
    assert state["selectedLayer"] == {"visible": True, "layer": "cells"}
    # 48 planes of 2 µm are the longest side: 96 µm in a panel of 380 pixels, in steps of 0.5 µm
    assert state["crossSectionScale"] == pytest.approx(1.1 * 192 / 380)


def test_channels_are_layers_below_the_labels(make_store: Any) -> None:
    state = state_of(make_store())
    assert [(lay["name"], lay["type"]) for lay in state["layers"]] == [
        ("membrane", "image"),
        ("DNA", "image"),
        ("cells", "segmentation"),
    ]
    assert [layer(state, n)["localPosition"] for n in ("membrane", "DNA")] == [[0], [1]]
    assert len({layer(state, n)["shader"] for n in ("membrane", "DNA")}) == 2, "a colour each"
    assert layer(state, "DNA")["blend"] == "additive"
    assert layer(state, "DNA")["shaderControls"]["contrast"]["range"] == [50, 1200], "the file's window"


def test_sources_are_served(make_store: Any) -> None:
    with view(make_store()) as shown:
        for lay in shown.state["layers"]:
            with urllib.request.urlopen(lay["source"].removeprefix("zarr://") + "zarr.json", timeout=120) as answer:
                assert json.loads(answer.read())["attributes"]["ome"]["multiscales"][0]["axes"][-1]["name"] == "x"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(lay["source"].removeprefix("zarr://") + "zarr.json", timeout=5)


def answer_of(url: str, host: str | None = None, method: str = "GET") -> tuple[int, bytes]:
    request = urllib.request.Request(url, method=method, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def test_a_name_that_is_led_here_is_told_nothing(make_store: Any) -> None:
    """Neither by the page nor by the data; a second view of the process is guarded as the first."""
    store = make_store()
    with view(store) as first, view(store) as second:
        for shown in (first, second):
            page = shown.page_for_links()
            data = next(iter(shown.addresses.values())) + "zarr.json"
            state = shown.url.replace("/v/", "/state/").rstrip("/")
            for url, method in ((shown.url, "GET"), (page, "GET"), (data, "GET"), (state, "POST")):
                for host in ("page.example", f"page.example:{shown.ports[0]}", "localhost.page.example"):
                    assert answer_of(url, host, method) == (421, b""), (url, host)
            for host in (None, "localhost", "127.0.0.1:1", "[::1]"):
                assert answer_of(shown.url, host)[0] == 200
                assert answer_of(data, host)[0] == 200


def test_a_plane_is_shown_flat(make_store: Any) -> None:
    state = state_of(make_store(flat=True))
    assert (state["layout"], list(state["dimensions"]), state["position"]) == ("xy", ["x", "y"], [48, 40])


def test_time_comes_last(tmp_path: Path, write_multiscale: Any) -> None:
    store = write_multiscale(tmp_path / "t.zarr", np.zeros((2, 3, 4, 8, 8), np.uint8), axes="tczyx", levels=1)
    state = state_of(store)
    assert list(state["dimensions"]) == ["x", "y", "z", "t"]
    assert state["dimensions"]["t"] == [1, "s"]
    assert state["position"] == [4, 4, 2, 0]


def test_units_are_metres_whatever_the_file_says(tmp_path: Path, write_multiscale: Any) -> None:
    values = np.zeros((4, 8, 8), np.uint8)
    nm = write_multiscale(tmp_path / "nm.zarr", values, axes="zyx", unit="nanometer", spacing=(400, 100, 100))
    short = write_multiscale(tmp_path / "um.zarr", values, axes="zyx", unit="um")
    none = write_multiscale(tmp_path / "none.zarr", values, axes="zyx", unit=None)
    assert state_of(nm)["dimensions"]["z"] == pytest.approx([4e-7, "m"])
    assert state_of(short)["dimensions"]["z"] == [2e-6, "m"]
    assert state_of(none)["dimensions"]["z"] == [2, ""]
    with view(nm) as shown:
        url = shown.state["layers"][0]["source"].removeprefix("zarr://") + "zarr.json"
        with urllib.request.urlopen(url, timeout=120) as answer:
            ome = json.loads(answer.read())["attributes"]["ome"]["multiscales"][0]
    assert ome["axes"][0] == {"name": "z", "type": "space", "unit": "micrometer"}
    assert ome["datasets"][0]["coordinateTransformations"][0]["scale"] == pytest.approx([0.4, 0.1, 0.1])


def test_a_view_has_one_scale(tmp_path: Path, write_multiscale: Any) -> None:
    values = np.zeros((4, 8, 8), np.uint8)
    mixed = write_multiscale(tmp_path / "mixed.zarr", values, axes="zyx", spacing=(2, 0.5, 0.5))
    plane = write_multiscale(tmp_path / "plane.zarr", values[:1], axes="zyx", spacing=(3, 0.5, 0.5))
    for path in (mixed, plane):
        document = json.loads((path / "zarr.json").read_text())
        del document["attributes"]["ome"]["multiscales"][0]["axes"][0]["unit"]
        (path / "zarr.json").write_text(json.dumps(document))
    assert state_of(mixed)["dimensions"] == {"x": [0.5, ""], "y": [0.5, ""], "z": [2, ""]}
    assert state_of(plane)["dimensions"] == {
        a: [pytest.approx(s), "m"] for a, s in zip("xyz", (5e-7, 5e-7, 1e-6), strict=True)
    }


def test_an_image_that_goes_backwards_is_not_shown_forwards(make_store: Any) -> None:
    path = make_store()
    document = json.loads((path / "zarr.json").read_text())
    for dataset in document["attributes"]["ome"]["multiscales"][0]["datasets"]:
        dataset["coordinateTransformations"][0]["scale"][-1] *= -1
    (path / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"goes backwards along x .* bigcell convert"):
        state_of(path)


def test_contrast_is_measured_where_the_file_has_none(tmp_path: Path, write_multiscale: Any) -> None:
    ramp = np.arange(4 * 50 * 50, dtype=np.uint16).reshape(4, 50, 50)
    store = write_multiscale(tmp_path / "a.zarr", ramp, axes="zyx", levels=1)
    low, high = contrast(find_shown(store).image)[0]
    assert (low, high) == pytest.approx((100, 9969), abs=2)
    full = {"omero": {"channels": [{"window": {"start": 0, "end": 65535}}]}}
    store = write_multiscale(tmp_path / "b.zarr", ramp, axes="zyx", levels=1, **full)
    assert contrast(find_shown(store).image)[0] == (low, high), "the whole dtype is no choice"


def test_contrast_numbers_are_of_the_dtype(tmp_path: Path, write_multiscale: Any) -> None:
    dark = np.random.default_rng(0).poisson(1, (4, 40, 40)).astype(np.uint8)
    state = state_of(write_multiscale(tmp_path / "a.zarr", dark, axes="zyx", levels=1))
    numbers = layer(state, "image")["shaderControls"]["contrast"]
    assert all(isinstance(v, int) and 0 <= v <= 255 for v in numbers["range"] + numbers["window"])


def test_an_object_is_gone_to_and_selected(make_store: Any) -> None:
    # object 40: row-major in 3 x 5 x 6 cubes of 16 is cube (1, 1, 3)
    state = state_of(make_store(), object_id=40)
    assert np.abs(np.array(state["position"]) - [56, 24, 24]).max() <= 1
    assert layer(state, "cells")["segments"] == ["40"]
    assert layer(state, "cells")["notSelectedAlpha"] > 0
    assert state["crossSectionScale"] < state_of(make_store("again.zarr"))["crossSectionScale"]


def test_an_object_that_only_the_finest_level_has(tmp_path: Path, write_multiscale: Any) -> None:
    labels = np.zeros((4, 64, 64), np.uint32)
    labels[1, 33, 7] = 5  # odd everywhere, so every second voxel misses it
    info = find_shown(write_multiscale(tmp_path / "labels.zarr", labels, axes="zyx", **{"image-label": {}}))
    found = find_in(info.labels["labels.zarr"], 5)
    assert found.centre == (1, 33, 7)
    assert found.box.shape == (1, 1, 1)


def test_the_table_is_asked_first(make_store: Any) -> None:
    store = make_store()
    row = {"id": 40, "voxels": 9, "z": 8.0, "y": 9.0, "x": 10.0, "touches_border": False}
    row |= {f"{a}_{end}": v for a, n in zip("zyx", (8, 9, 10), strict=True) for end, v in (("min", n), ("max", n + 1))}
    table = ObjectTable(store / "labels" / "cells" / "objects.parquet", Spacing(2, 0.5, 0.5))
    table.write_part(0, {name: [value] for name, value in row.items()})
    assert state_of(store, object_id=40)["position"] == [10, 9, 8], "the table says so, though the labels do not"
    with pytest.raises(InputError, match="has no object 41"):
        view(store, object_id=41)


def test_a_translation_moves_the_position(make_store: Any) -> None:
    state = state_of(make_store(translation=(10.0, 5.0, 50.0)), object_id=40)
    assert np.abs(np.array(state["position"]) - [56 + 100, 24 + 10, 24 + 5]).max() <= 1


@pytest.mark.parametrize(("id", "words"), [(9999, "no object 9999"), (0, "0 is background")])
def test_unknown_objects(make_store: Any, id: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        view(make_store(), object_id=id)


def test_unknown_labels_are_told_which_there_are(make_store: Any) -> None:
    with pytest.raises(InputError, match="no labels 'nuclei'; it has: cells, other"):
        view(make_store(names=("cells", "other")), labels="nuclei")
    with pytest.raises(InputError, match="no labels to look in"):
        view(make_store("bare.zarr", names=()), object_id=3)


def test_all_labels_are_listed_and_one_is_shown(make_store: Any) -> None:
    state = state_of(make_store(names=("cells", "other")))
    assert layer(state, "other")["visible"] is False
    assert "visible" not in layer(state, "cells")
    assert [lay["name"] for lay in state_of(make_store("b.zarr", names=("cells", "other")), labels="other")["layers"]][
        -1
    ] == "other"


def test_label_images_bring_their_image(make_store: Any, tmp_path: Path) -> None:
    store = make_store()
    assert [lay["name"] for lay in state_of(store / "labels" / "cells")["layers"]] == ["membrane", "DNA", "cells"]
    alone = tmp_path / "alone.zarr"
    (store / "labels" / "cells").rename(alone)
    assert [lay["name"] for lay in state_of(alone)["layers"]] == ["alone.zarr"]
    assert len(state_of(alone, image=store)["layers"]) == 3


def test_what_is_no_image_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        view(tmp_path / "nothing.zarr")
    zarr.create_group(tmp_path / "empty.zarr")
    with pytest.raises(InputError, match="without multiscales"):
        view(tmp_path / "empty.zarr")
    with pytest.raises(InputError, match="is a URL"):
        view("https://example.org/a.zarr")


def test_dtypes_a_browser_cannot_show(tmp_path: Path, write_multiscale: Any) -> None:
    store = write_multiscale(tmp_path / "a.zarr", np.zeros((4, 8, 8)), axes="zyx", levels=1)
    with pytest.raises(InputError, match="float64, which a browser cannot show"):
        view(store)


def test_closing(make_store: Any) -> None:
    shown = view(make_store())
    assert shown.ports[0] != shown.ports[1]
    assert repr(shown) == f"View({shown.url})"
    assert urllib.request.urlopen(shown.url, timeout=120).status == 200
    waiting = threading.Thread(target=shown.wait)
    waiting.start()
    shown.close()
    shown.close()
    waiting.join(timeout=5)
    assert not waiting.is_alive()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(shown.url, timeout=5)


def test_a_port_in_use(make_store: Any) -> None:
    store = make_store()
    with view(store) as shown, pytest.raises(InputError, match="another view is open"):
        view(store, port=shown.ports[0] + 10)
    with view(store) as first:
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            first.close()
            with pytest.raises(InputError, match="another --port"):
                view(store, port=taken.getsockname()[1] - 1)
