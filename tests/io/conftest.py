"""Small OME-Zarr stores with known voxels, written with plain zarr rather than with our own writer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

SIZES = {"t": 2, "c": 3, "z": 5, "y": 12, "x": 14}
UNITS = {"z": 2.0, "y": 0.5, "x": 0.25}


class StoreMaker:
    """Makes image stores in a folder; every argument is one thing that differs between files in the wild."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        axes="czyx",
        *,
        version="0.5",
        name="image.zarr",
        levels=2,
        sizes=None,
        dtype=np.uint16,
        unit="micrometer",
        sharded=False,
        separator="/",
        channels=None,
        translation=None,
        edit=lambda attributes: None,
    ):
        """The path of a new store and its voxels at level 0; level k is ``[::2**k]`` in y and x."""
        sizes = {**SIZES, **(sizes or {})}
        shape = tuple(sizes[a] for a in axes)
        voxels = (np.arange(np.prod(shape)) % 251).astype(dtype).reshape(shape)
        path = self.folder / name
        root = zarr.create_group(path, zarr_format=3 if version == "0.5" else 2)
        datasets = []
        for k in range(levels):
            step = {"y": 2**k, "x": 2**k}
            data = voxels[tuple(slice(None, None, step.get(a, 1)) for a in axes)]
            chunks = tuple(min(4, n) for n in data.shape)
            options = {"dimension_names": list(axes)} if version == "0.5" else {}
            if version == "0.4":
                options["chunk_key_encoding"] = {"name": "v2", "separator": separator}
            array = root.create_array(
                str(k),
                shape=data.shape,
                chunks=chunks,
                shards=tuple(2 * c for c in chunks) if sharded else None,
                dtype=dtype,
                **options,
            )
            array[...] = data
            transforms = [{"type": "scale", "scale": [UNITS.get(a, 1.0) * step.get(a, 1) for a in axes]}]
            if translation:
                transforms.append({"type": "translation", "translation": [translation.get(a, 0.0) for a in axes]})
            datasets.append({"path": str(k), "coordinateTransformations": transforms})
        kinds = {"t": "time", "c": "channel"}
        entries = [{"name": a, "type": kinds.get(a, "space")} for a in axes]
        for entry in entries:
            if entry["type"] == "space" and unit:
                entry["unit"] = unit
        ome = {"multiscales": [{"axes": entries, "datasets": datasets}]}
        if channels:
            ome["omero"] = {
                "channels": [
                    {"label": c, "color": "FFFFFF", "window": {"min": 0, "max": 9, "start": 1, "end": 8}}
                    for c in channels
                ]
            }
        if version == "0.5":
            attributes = {"ome": {"version": "0.5", **ome}}
        else:
            ome["multiscales"][0]["version"] = "0.4"
            attributes = ome
        edit(attributes)
        root.attrs.update(attributes)
        return path, voxels


@pytest.fixture
def make_store(tmp_path):
    return StoreMaker(tmp_path)


@pytest.fixture(scope="session")
def real_data():
    """The folder of real images, or a skip where it is absent."""
    folder = Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder}")
    return folder
