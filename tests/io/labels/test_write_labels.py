"""Labels in memory beside their image: found by name, with the image's levels; bad ones are told of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError, OutputError
from bigcell.io.labels.write_labels import write_labels
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.ngff.pyramid import reduce_labels
from bigcell.io.ngff.write_image import write_image


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 99, (2, 6, 40, 50)).astype(np.uint16)
    return write_image(tmp_path / "image.zarr", pixels, spacing=Spacing(2.0, 0.5, 0.5), levels=2)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 5, (6, 40, 50)).astype(np.int64)


def test_labels_come_back_with_their_pyramid(image: Path, labels: np.ndarray) -> None:
    path = write_labels(image, labels, name="truth")
    assert read_info(image).labels == ("truth",)
    found = open_image(path)
    assert found.dtype == np.uint32
    assert found.spacing == Spacing(2.0, 0.5, 0.5)
    assert np.array_equal(found.read(Box.of(found.extent))[0], labels)
    coarse = open_image(path, level=1)
    step = tuple(-(-a // b) for a, b in zip(labels.shape, coarse.extent, strict=True))
    assert np.array_equal(coarse.read(Box.of(coarse.extent))[0], reduce_labels(labels.astype(np.uint32), step))


def test_a_plane_and_large_ids(tmp_path: Path) -> None:
    image = write_image(tmp_path / "plane.zarr", np.zeros((20, 30), np.uint8))
    labels = np.zeros((20, 30), np.uint64)
    labels[5:9, 5:9] = 2**40
    found = open_image(write_labels(image, labels))
    assert found.dtype == np.uint64
    assert np.array_equal(found.read(Box.of(found.extent))[0, 0], labels)


def test_a_name_that_is_taken(image: Path, labels: np.ndarray) -> None:
    write_labels(image, labels)
    with pytest.raises(OutputError, match="exists already"):
        write_labels(image, labels)
    write_labels(image, 0 * labels, overwrite=True)
    found = open_image(image / "labels" / "cells")
    assert not found.read(Box.of(found.extent)).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a[:5], r"\(5, 40, 50\)"),
        (lambda a: a.astype(float), "float64"),
        (lambda a: a - 1, "from -1 on"),
    ],
)
def test_bad_labels(image: Path, labels: np.ndarray, change, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_labels(image, change(labels))
    assert read_info(image).labels == ()
