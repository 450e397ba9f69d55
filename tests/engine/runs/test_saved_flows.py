"""Flows that are kept, and masks made from them again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

import bigcell
from bigcell.core.box import Box
from bigcell.core.errors import InputError, OutputError, SettingsError
from bigcell.io.ngff.image import open_image
from bigcell.io.ngff.write_image import write_image
from bigcell.synthetic import sample_volume


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = sample_volume((20, 40, 44), diameter=14, seed=3)
    return write_image(tmp_path_factory.mktemp("kept") / "image.zarr", made.image[:1], spacing=made.spacing)


@pytest.fixture(scope="module")
def flows(image: Path) -> Path:
    path = image.with_name("flows.zarr")
    bigcell.segment(image, diameter=14, keep_flows=path, workers=1, block=(16, 24, 24))
    return path


def labels_at(store: Path, name: str) -> np.ndarray:
    return np.asarray(zarr.open_array(store / "labels" / name / "0", mode="r"))


def test_no_change_gives_the_same_labels(image: Path, flows: Path) -> None:
    result = bigcell.masks(flows, labels="again", block=(20, 40, 20), workers=1)
    first = json.loads((image / "labels/cells/record.json").read_text())
    assert result.objects == first["result"]["objects"] > 3
    assert result.counts["labels_sha256"] == first["result"]["labels_sha256"]
    np.testing.assert_array_equal(labels_at(image, "again"), labels_at(image, "cells"))


def test_other_thresholds_equal_a_run_with_the_network(image: Path, flows: Path) -> None:
    bigcell.masks(flows, labels="strict", cellprob_threshold=2.0, min_size=100, workers=1)
    bigcell.segment(image, diameter=14, labels="network", cellprob_threshold=2.0, min_size=100, workers=1)
    np.testing.assert_array_equal(labels_at(image, "strict"), labels_at(image, "network"))
    assert np.count_nonzero(labels_at(image, "strict")) < np.count_nonzero(labels_at(image, "cells"))


def test_thresholds_of_the_run_are_kept(image: Path, tmp_path: Path) -> None:
    bigcell.segment(
        image, diameter=14, labels="loose", keep_flows=tmp_path / "f.zarr", cellprob_threshold=-2, workers=1
    )
    bigcell.masks(tmp_path / "f.zarr", labels="loose again", workers=1)
    np.testing.assert_array_equal(labels_at(image, "loose again"), labels_at(image, "loose"))


def test_a_region_is_found_again(image: Path, tmp_path: Path) -> None:
    region = Box((2, 8, 4), (18, 38, 40))
    options = {"output": tmp_path / "labels.zarr", "region": region, "diameter": 14, "workers": 1}
    bigcell.segment(image, keep_flows=tmp_path / "f.zarr", **options)  # type: ignore[arg-type]
    bigcell.masks(tmp_path / "f.zarr", labels="again", workers=1)
    np.testing.assert_array_equal(
        labels_at(tmp_path / "labels.zarr", "again"), labels_at(tmp_path / "labels.zarr", "cells")
    )


def test_the_store_opens_as_an_image(flows: Path, image: Path) -> None:
    kept = open_image(flows)
    assert kept.channels == ("dz", "dy", "dx", "cellprob")
    assert kept.extent == open_image(image).extent
    assert kept.spacing == open_image(image).spacing


def test_refusals(image: Path, flows: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists already"):
        bigcell.segment(image, labels="x", keep_flows=flows)
    with pytest.raises(InputError, match="--keep-flows"):
        bigcell.masks(image)
    with pytest.raises(SettingsError, match="give output="):
        bigcell.segment(np.zeros((8, 8)), keep_flows=tmp_path / "f.zarr")
    with pytest.raises(SettingsError, match="nothing new to keep"):
        bigcell.segment(flows=flows, output=tmp_path / "o.zarr", keep_flows=tmp_path / "f.zarr")
    with pytest.raises(OutputError, match="exists already"):
        bigcell.masks(flows)
    assert not (tmp_path / "f.zarr").exists()
