#!/usr/bin/env bash
# igneous-pipeline 4.37.0 with cloud-volume 12.15.2: planning meshes on an OME-Zarr 0.5 of labels makes it unreadable.
#
# `create_meshing_tasks` notes in the layer's info where meshes will lie. For OME-Zarr, cloud-volume writes all metadata of
# the group anew: it takes those of the first level for its own, and says `"node_type": "group"` in those of every level.
#
# Expected: what was an OME-Zarr before planning is one after it, with the same sizes: not one voxel has been touched.
# Seen:     each level's zarr.json calls itself a group, the group has the fields of an array, voxel sizes are a thousand
#           times those before (nanometers beside the unit micrometer; a million times after a second plan), and other
#           attributes of the group are gone. zarr opens neither the group nor its level.
# Matters:  whoever plans on the only copy of a segmentation loses sizes and places, before the first mesh is made.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check \
    "igneous-pipeline==4.37.0" "cloud-volume==12.15.2" "zarr==3.1.6"
cd "$folder"
"$folder/env/bin/python" - <<'PY'
import json
from importlib.metadata import version
from pathlib import Path

import igneous.task_creation as tasks
import numpy as np
import zarr

print("igneous-pipeline", version("igneous-pipeline"), "cloud-volume", version("cloud-volume"), "zarr", version("zarr"))
group = zarr.create_group("labels.zarr")
labels = np.arange(1, 16 * 32 * 32 + 1, dtype=np.uint32).reshape(16, 32, 32)
group.create_array("0", data=labels, chunks=(8, 16, 16), dimension_names=("z", "y", "x"), compressors=None)
steps = [{"type": "scale", "scale": [2.0, 0.5, 0.25]}, {"type": "translation", "translation": [20.0, 5.0, 2.5]}]
axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
image = {"name": "labels", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
group.attrs.update({"ome": {"version": "0.5", "multiscales": [image]}, "made_by": "a lab"})


def told():
    whole = json.loads(Path("labels.zarr/zarr.json").read_text())
    level = json.loads(Path("labels.zarr/0/zarr.json").read_text())
    first = whole["attributes"]["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    return level["node_type"], "shape" in whole, np.round(first[0]["scale"], 2).tolist(), "made_by" in whole["attributes"]


print("before:       ", *told())
assert (zarr.open_group("labels.zarr", mode="r")["0"][...] == labels).all()
for count, by in ((1, 1e3), (2, 1e6)):
    planned = tasks.create_meshing_tasks("zarr3://file://" + str(Path("labels.zarr").resolve()), mip=0)
    print(f"after plan {count}: ", *told())
    sizes = np.round(np.multiply([2.0, 0.5, 0.25], by), 2).tolist()
    assert told() == ("group", True, sizes, False), "this has changed"
for path in ("labels.zarr", "labels.zarr/0"):
    try:
        zarr.open(path, mode="r")
    except Exception as error:
        print(f"zarr, {path}: {type(error).__name__}: {error}")
    else:
        raise SystemExit(f"this has changed: {path} opens")
PY
