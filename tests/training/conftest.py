"""Labelled images on disk, small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from skimage.io import imsave

from bigcell.core.axes import Spacing
from bigcell.core.volume import ArrayVolume
from bigcell.io.images import write_image
from bigcell.testing.synthetic import SyntheticVolume, sample_volume

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


def store_of(made: SyntheticVolume, path: Path, name: str = "cells") -> Path:
    """An OME-Zarr image with a group of labels."""
    write_image(path, made.volume, spacing=made.spacing, levels=1, chunk=(16, 32, 32))
    (path / "labels").mkdir(exist_ok=True)
    zarr.open_group(path / "labels", mode="a").attrs["ome"] = {"version": "0.5", "labels": [name]}
    labels = ArrayVolume(made.labels, Spacing(*made.spacing.zyx))
    write_image(path / "labels" / name, labels, spacing=made.spacing, levels=1, chunk=(16, 32, 32))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A small labelled volume with voxels twice as long along z."""
    return store_of(sample_volume((30, 72, 80), diameter=14, spacing=(2, 1, 1), seed=2), tmp_path / "brain.zarr")
