"""ome-zarr-models writes images of OME-NGFF 0.6, as its classes build them, below the folder that is named."""

import sys
from pathlib import Path

import numpy as np
import zarr
from ome_zarr_models.v06 import Image
from ome_zarr_models.v06.coordinate_transforms import (
    Affine,
    Axis,
    CoordinateSystem,
    CoordinateSystemIdentifier,
    Rotation,
)
from pydantic_zarr.v3 import ArraySpec

VOXELS = np.arange(6 * 40 * 56, dtype=np.uint16).reshape(6, 40, 56)


def system(name, unit):
    return CoordinateSystem(name=name, axes=tuple(Axis(name=a, type="space", unit=unit) for a in "zyx"))


def write(name, *, translation=None, transforms=(), systems=()):
    """Two levels, the second every other voxel of y and x."""
    store = zarr.storage.LocalStore(Path(sys.argv[1], f"{name}.zarr"))
    group = zarr.create_group(store)
    for path, level in zip("01", (VOXELS, VOXELS[:, ::2, ::2]), strict=True):
        group.create_array(path, data=level, chunks=(4, 16, 16), dimension_names=tuple("zyx"))
    specs = [ArraySpec.from_zarr(group[path]) for path in "01"]
    image = Image.new(
        array_specs=specs,
        paths=["0", "1"],
        scales=[[2.0, 500.0, 250.0], [2.0, 1000.0, 500.0]],
        translations=[translation, translation],
        physical_coord_system=CoordinateSystem(
            name="physical",
            axes=(
                Axis(name="z", type="space", unit="micrometer"),
                *(Axis(name=a, type="space", unit="nanometer") for a in "yx"),
            ),
        ),
        name=name,
        coord_transforms=transforms,
        coord_systems=systems,
    )
    group.attrs.update(image.attributes.model_dump(mode="json", exclude_none=True))


atlas = {"input": CoordinateSystemIdentifier(name="physical"), "output": CoordinateSystemIdentifier(name="atlas")}
write("scaled")
write("moved", translation=[10.0, 5000.0, 2000.0])
write(
    "turned-in-an-atlas",
    transforms=(Rotation(rotation=((0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)), **atlas),),
    systems=(system("atlas", "millimeter"),),
)
write(
    "affine-to-an-atlas",
    transforms=(Affine(affine=((2.0, 0.0, 0.0, 1.0), (0.0, 3.0, 1.0, 2.0), (0.0, 0.0, 4.0, 3.0)), **atlas),),
    systems=(system("atlas", "millimeter"),),
)
