"""iohub."""

import numpy as np
from iohub import open_ome_zarr
from telling import Facts, by_axis, digest, tell


def look(place: str) -> Facts:
    image, _, label = place.partition("/labels/")
    with open_ome_zarr(image, mode="r", layout="fov") as held:
        node = held.get_label(label) if label else held
        axes = "".join(axis.name for axis in node.axes).lower()
        multiscale = node.metadata.multiscales[0]
        levels = [node[dataset.path] for dataset in multiscale.datasets]
        scales = [dataset.coordinate_transformations[0].scale for dataset in multiscale.datasets]
        return {
            "axes": axes,
            "scale": [by_axis(axes, scale) for scale in scales],
            "units": by_axis(axes, [getattr(axis, "unit", None) for axis in node.axes]),
            "channels": held.channel_names if "c" in axes else None,
            "dtype": str(levels[0].dtype),
            "voxels": [digest(np.asarray(level[...])) for level in levels],
        }


if __name__ == "__main__":
    tell(look)
