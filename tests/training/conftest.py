"""Labelled images on disk, small."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imsave

from bigcell.io.labels.write_labels import write_labels
from bigcell.io.ngff.write_image import write_image
from bigcell.synthetic import sample_volume

WritePairs = Callable[..., Path]


@pytest.fixture
def write_pairs(tmp_path: Path) -> WritePairs:
    """Writes `count` images (y, x) with labels into a folder: NAME.png and NAME_masks.png."""

    def write(count: int = 3, *, folder: str = "pairs", side: int = 64, seed: int = 0) -> Path:
        place = tmp_path / folder
        place.mkdir()
        for i in range(count):
            made = sample_volume((1, side, side + 8), diameter=14, seed=seed + i)
            imsave(place / f"im{i}.png", made.image[0, 0], check_contrast=False)
            imsave(place / f"im{i}_masks.png", made.labels[0].astype(np.uint16), check_contrast=False)
        return place

    return write


@pytest.fixture(scope="session")
def _first_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = sample_volume((30, 72, 80), diameter=14, spacing=(2, 1, 1), seed=2)
    path = tmp_path_factory.mktemp("store") / "brain.zarr"
    write_image(path, made.volume, spacing=made.spacing, levels=1, chunk=(16, 32, 32))
    write_labels(path, made.labels, name="cells")
    return path


@pytest.fixture
def store(_first_store: Path, tmp_path: Path) -> Path:
    """A small labelled volume with voxels twice as long along z."""
    return Path(shutil.copytree(_first_store, tmp_path / "brain.zarr"))
