"""ngff-zarr writes an image of two channels in each form that it knows, below the folder that is named."""

import sys
from pathlib import Path

import ngff_zarr
import numpy as np

FORMS = {"0.4.zarr": "0.4", "0.5.zarr": "0.5", "0.6.zarr": "0.6", "0.5.ozx": "0.5"}
CHUNKS = {"c": 1, "z": 4, "y": 16, "x": 16}
VOXELS = np.arange(2 * 6 * 40 * 56, dtype=np.uint16).reshape(2, 6, 40, 56)

image = ngff_zarr.to_ngff_image(
    VOXELS,
    dims=["c", "z", "y", "x"],
    scale={"c": 1.0, "z": 2.0, "y": 0.5, "x": 0.25},
    translation={"c": 0.0, "z": 10.0, "y": 5.0, "x": 2.0},
    axes_units=dict.fromkeys("zyx", "micrometer"),
    channel_names=["membrane", "nuclei"],
)
levels = ngff_zarr.to_multiscales(
    image, scale_factors=[{"z": 1, "y": 2, "x": 2}], chunks={"c": 1, "z": 4, "y": 16, "x": 16}
)
for name, version in FORMS.items():
    ngff_zarr.to_ngff_zarr(str(Path(sys.argv[1], name)), levels, version=version)
