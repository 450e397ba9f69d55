"""ome-zarr-py."""

import numpy as np
from ome_zarr import OMEZarrLabels, OMEZarrMultiscale
from telling import Facts, digest, tell
from zipped import open_group


def look(place: str) -> Facts:
    kind = OMEZarrLabels if "/labels/" in place else OMEZarrMultiscale
    held = kind.from_ome_zarr(open_group(place))
    first = held.images[0]
    omero = getattr(held, "omero", None)
    return {
        "axes": "".join(first.axes),
        "scale": [{axis: image.scale[axis] for axis in "zyx"} for image in held.images],
        "units": {axis: (first.axes_units or {}).get(axis) for axis in "zyx"},
        "channels": [channel.label for channel in omero.channels] if omero and "c" in first.axes else None,
        "dtype": str(first.data.dtype),
        "voxels": [digest(np.asarray(image.data)) for image in held.images],
    }


if __name__ == "__main__":
    tell(look)
