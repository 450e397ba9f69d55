#!/usr/bin/env bash
# tifffile 2026.3.3 and zarr 3.1.6: the dtype that tifffile gives TIFF of 64-bit integers is one that zarr does not know.
#
# C has two 64-bit integer types on Linux, and NumPy a dtype for each; both are called int64 and compare equal. tifffile
# gives one of them (`dtype.char` "q"), `np.dtype(np.int64)` is the other ("l").
#
# Expected: a zarr array can be made with the dtype of what tifffile read.
# Seen:     ValueError "No Zarr data type found that matches dtype('int64')", while np.int64 is fine; so for uint64.
# Matters:  whoever turns a TIFF into zarr with `dtype=image.dtype` fails on label images of 64 bits, with a message
#           that names a type which zarr has. `np.dtype(image.dtype.str)` mends it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check "tifffile==2026.3.3" "zarr==3.1.6" "numpy<2.5"
cd "$folder"
"$folder/env/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
import tifffile
import zarr

print("tifffile", version("tifffile"), "zarr", version("zarr"), "numpy", version("numpy"))
for kind in (np.int64, np.uint64):
    tifffile.imwrite("a.tif", np.arange(12, dtype=kind).reshape(3, 4))
    read = tifffile.imread("a.tif")
    assert read.dtype == np.dtype(kind)
    zarr.create_array({}, shape=read.shape, dtype=np.dtype(kind))
    print(f"{read.dtype}: tifffile gives {read.dtype.char!r}, NumPy {np.dtype(kind).char!r}")
    try:
        zarr.create_array({}, shape=read.shape, dtype=read.dtype)
    except Exception as error:
        print(f"zarr: {type(error).__name__}: {error}")
        assert "No Zarr data type found" in str(error), "this has changed: another error"
    else:
        raise SystemExit("this has changed: zarr takes the dtype")
    zarr.create_array({}, shape=read.shape, dtype=np.dtype(read.dtype.str))
PY
