#!/usr/bin/env bash
# tifffile 2026.3.3: `imwrite(array, imagej=True)` of a 16-bit image with its three channels last writes them as x.
#
# ImageJ's hyperstacks have the axes TZCYXS, S being the samples of 8-bit colours. An array (y, x, 3) of uint8 is written
# as such colours. One of uint16, as cameras give it, has no samples in ImageJ.
#
# Expected: the error that `metadata={"axes": "YXC"}` gives: axes must be in the order TZCYXS.
# Seen:     without `axes`, a file that says of itself axes "CYX" with shape (y, x, 3): as many channels as the image has
#           rows, and an x of three. No error, no warning.
# Matters:  Fiji, and every reader that believes the file, opens 64 channels of 48 x 3 voxels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check "tifffile==2026.3.3"
cd "$folder"
"$folder/env/bin/python" -W error - <<'PY'
from importlib.metadata import version

import numpy as np
import tifffile


def told(**options):
    tifffile.imwrite("a.tif", array, imagej=True, **options)
    with tifffile.TiffFile("a.tif") as file:
        return file.series[0].axes, file.series[0].shape


print("tifffile", version("tifffile"))
array = np.zeros((64, 48, 3), np.uint8)
print("uint8:           ", *told(photometric="rgb"))
array = array.astype(np.uint16)
axes, shape = told()
print("uint16:          ", axes, shape)
assert (axes, shape) == ("CYX", (64, 48, 3)), "this has changed"
try:
    told(metadata={"axes": "YXC"})
except ValueError as error:
    print("uint16 with axes:", error)
else:
    raise SystemExit("this has changed: with axes it is written")
PY
