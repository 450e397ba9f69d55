#!/usr/bin/env bash
# iohub 0.3.11: an image whose `omero.rdefs` names no plane loses axes, voxel size and names of channels.
#
# `omero` is transitional in OME-Zarr, and of its part `rdefs` the specification of 0.4 and 0.5 requires nothing: it is
# left out by many writers, and by others holds only `model`. The schema that comes with the specification accepts both.
#
# Expected: the image is read as one without `rdefs` is, or an error is raised.
# Seen:     a line in the log; then `open_ome_zarr` gives a Position that has no `metadata`, and axes that are made up
#           (T, C, Z, Y, X for an array of three dimensions).
# Matters:  sizes of voxels are lost for a missing hint about which plane to show first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check "iohub==0.3.11"
cd "$folder"
"$folder/env/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
import zarr
from iohub import open_ome_zarr

axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
steps = [{"type": "scale", "scale": [2.0, 0.5, 0.25]}]
image = {"name": "image", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
window = {"min": 0, "max": 65535, "start": 0, "end": 1000}
channel = {"label": "membrane", "color": "FFFFFF", "active": True, "window": window}


def told(name, **rdefs):
    group = zarr.create_group(name)
    group.create_array("0", data=np.ones((4, 8, 8), np.uint16), dimension_names=("z", "y", "x"))
    omero = {"channels": [channel], **({"rdefs": rdefs} if rdefs else {})}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image], "omero": omero}
    with open_ome_zarr(name, mode="r", layout="fov") as held:
        about = getattr(held, "metadata", None)
        sizes = about and about.multiscales[0].datasets[0].coordinate_transformations[0].scale
        return [axis.name for axis in held.axes], sizes


print("iohub", version("iohub"))
whole = (["z", "y", "x"], [2.0, 0.5, 0.25])
for name, rdefs in (("none", {}), ("all", {"model": "greyscale", "defaultT": 0, "defaultZ": 2})):
    found = told(f"{name}.zarr", **rdefs)
    print(f"rdefs, {name}: ", *found)
    assert found == whole
found = told("model.zarr", model="greyscale")
print("rdefs, model:", *found)
assert found != whole and found[1] is None, "this has changed: sizes are read"
PY
