"""The catalogue: complete entries, and the names that Cellpose publishes."""

from __future__ import annotations

import re

import pytest

from bigcell.networks.catalogue import CATALOGUE, Entry, diameter_of_file
from bigcell.networks.source import BUNDLED


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda e: e.name)
def test_entries_are_whole(entry: Entry) -> None:
    assert entry.kind in ("CPnet", "Cellpose-SAM", "Cellpose-DINO")
    assert entry.about
    assert "non-commercial" in entry.licence
    for file in entry.files:
        assert file.url.startswith("https://")
        assert file.url.endswith("/" + file.name)
        assert re.fullmatch("[0-9a-f]{64}|", file.sha256)
        assert bool(file.sha256) == bool(file.size)


def test_all_of_cellpose_4_is_here_and_has_a_hash() -> None:
    """`MODEL_NAMES` of Cellpose 4.2.1.1, and nothing else of its kinds."""
    newest = {name: entry for name, entry in CATALOGUE.items() if entry.kind != "CPnet"}
    assert list(newest) == ["cpsam", "cpsam_v2", "cpdino", "cpdino-vitb"]
    assert all(entry.weights.sha256 for entry in newest.values())
    assert {name for name, entry in newest.items() if "DINOv3 License" in entry.licence} == {"cpdino", "cpdino-vitb"}


def test_names_and_files_are_cellposes() -> None:
    files = {name: [file.name for file in CATALOGUE[name].files] for name in ("cpsam", "cyto3", "cyto2", "nuclei_cp1")}
    assert files == {
        "cpsam": ["cpsam"],
        "cyto3": ["cyto3", "size_cyto3.npy"],
        "cyto2": ["cyto2torch_0", "size_cyto2torch_0.npy"],
        "nuclei_cp1": ["nucleitorch_0", "size_nucleitorch_0.npy"],
    }
    assert {"cyto_cp1", "tissuenet_cp3", "livecell_cp3", "deepbacs_cp3", "CPx", "TN2", "LC4"} <= CATALOGUE.keys()
    assert len({file.name for entry in CATALOGUE.values() for file in entry.files}) == 4 + len(CATALOGUE)


def test_no_published_name_is_that_of_a_bundled_model() -> None:
    assert not CATALOGUE.keys() & BUNDLED.keys()


def test_only_nuclei_are_not_of_30_pixels() -> None:
    assert {name for name, entry in CATALOGUE.items() if entry.diameter != 30} == {"nuclei_cp1"}
    assert diameter_of_file("nucleitorch_0") == 17
    assert diameter_of_file("cytotorch_0") == 30
    assert diameter_of_file("mine") is None
