"""Small OME-Zarr stores with labels whose places are known, in both versions of the format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

STEP = 16
MakeStore = Callable[..., Path]


def balls(shape: tuple[int, int, int] = (48, 80, 96)) -> np.ndarray:
    """A ball in every cube of 16 voxels, numbered from 1 in z, y, x order: 3 x 5 x 6 = 90 of them."""
    grid = np.indices(shape)
    number = np.ravel_multi_index(tuple(grid // STEP), tuple(n // STEP for n in shape)) + 1
    radius = np.sqrt((((grid % STEP) - STEP / 2 + 0.5) ** 2).sum(0))
    return np.where(radius < 6.5, number, 0).astype(np.uint32)


def multiscale(
    path: Path,
    array: np.ndarray,
    *,
    axes: str,
    version: str = "0.5",
    spacing: Sequence[float] = (2.0, 0.5, 0.5),
    translation: Sequence[float] | None = None,
    levels: int = 2,
    unit: str | None = "micrometer",
    **extra: Any,
) -> Path:
    """A multiscale image of every second voxel per level; 0.5 is sharded."""
    modern = version == "0.5"
    group = zarr.create_group(path, zarr_format=3 if modern else 2)
    sizes = dict(zip("zyx", spacing, strict=True))
    moves = dict(zip("zyx", translation or (0, 0, 0), strict=True))
    datasets = []
    for level in range(levels):
        step = tuple(slice(None, None, 2**level if a in "zyx" else None) for a in axes)
        values = array[step]
        chunks = tuple(1 if a in "tc" else min(n, 16) for a, n in zip(axes, values.shape, strict=True))
        shards = tuple(2 * c if a in "zyx" else c for a, c in zip(axes, chunks, strict=True))
        data = group.create_array(
            str(level),
            shape=values.shape,
            dtype=values.dtype,
            chunks=chunks,
            shards=shards if modern else None,
            chunk_key_encoding={"name": "default" if modern else "v2", "separator": "/"},
            **({"dimension_names": list(axes)} if modern else {}),
        )
        data[...] = values
        scale = [sizes[a] * 2**level if a in "zyx" else 1.0 for a in axes]
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if translation:
            transforms.append({"type": "translation", "translation": [float(moves.get(a, 0)) for a in axes]})
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    kinds = {"t": {"type": "time", "unit": "second"}, "c": {"type": "channel"}}
    space = {"type": "space", **({"unit": unit} if unit else {})}
    entries = [{"name": a, **kinds.get(a, space)} for a in axes]
    entry = {"name": path.name, "axes": entries, "datasets": datasets}
    if modern:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [entry], **extra}
    else:
        group.attrs.update({"multiscales": [{**entry, "version": "0.4"}], **extra})
    return path


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """Image (cells, nuclei: bright where `balls` are, so labels can be checked against it) with ``labels/cells``."""

    def make(
        name: str = "image.zarr",
        *,
        version: str = "0.5",
        flat: bool = False,
        channels: int = 2,
        names: Sequence[str] = ("cells",),
        translation: Sequence[float] | None = None,
    ) -> Path:
        labels = balls()[8] if flat else balls()
        axes = "yx" if flat else "zyx"
        noise = np.random.default_rng(5).normal(100, 5, (channels, *labels.shape))
        array = (noise + 900 * (labels > 0)).astype(np.uint16)
        omero = {"channels": [{"label": n, "window": {"start": 50, "end": 1200}} for n in ("membrane", "DNA", "C3")]}
        omero["channels"] = omero["channels"][:channels]
        path = tmp_path / name
        multiscale(path, array, axes="c" + axes, version=version, translation=translation, omero=omero)
        for label in names:
            about = {"image-label": {"version": version, "source": {"image": "../../"}}}
            multiscale(path / "labels" / label, labels, axes=axes, version=version, translation=translation, **about)
        if names:
            group = zarr.open_group(path / "labels", mode="a", zarr_format=3 if version == "0.5" else 2)
            group.attrs.update({"ome": {"labels": list(names)}} if version == "0.5" else {"labels": list(names)})
        return path

    return make


@pytest.fixture
def write_multiscale() -> Callable[..., Path]:
    return multiscale


@pytest.fixture
def ball_labels() -> np.ndarray:
    return balls()
