"""napari-ome-zarr, by the layers that it hands to napari: one a channel, named after image and channel."""

import numpy as np
from napari_ome_zarr import napari_get_reader
from telling import Facts, by_axis, digest, tell


def look(place: str) -> Facts:
    read = napari_get_reader(place)
    if read is None:
        raise ValueError("no reader for this path")
    wanted = "labels" if "/labels/" in place else "image"
    layers = [layer for layer in read(place) if layer[2] == wanted]
    if not layers:
        raise ValueError("no layers")
    levels, about, _ = layers[0]
    axes = "".join(about["axis_labels"])
    factors = [np.divide(levels[0].shape, level.shape).tolist() for level in levels]
    names = [layer[1]["name"].split(": ")[-1] for layer in layers]
    stacked = [np.stack([layer[0][n] for layer in layers]) for n in range(len(levels))]
    several = len(layers) > 1
    return {
        "axes": "c" * several + axes,
        "scale": [by_axis(axes, np.multiply(about["scale"], factor).tolist()) for factor in factors],
        "units": by_axis(axes, about["units"]),
        "channels": names if several else None,
        "dtype": str(levels[0].dtype),
        "voxels": [digest(voxels if several else voxels[0]) for voxels in stacked],
    }


if __name__ == "__main__":
    tell(look)
