#!/usr/bin/env bash
# cellpose 4.2.1.1: `eval` overwrites the image that it is given, where that is float32.
#
# transforms.normalize_img copies what is not float32, and scales what is to its percentiles in place; the conversions
# before it are views. So it is the caller's own array that changes; integers and float64 stay.
#
# Expected: the image is as it was.
# Seen:     its numbers are normalised ones afterwards; so for a plane, a plane with channels and a stack (do_3D).
# Matters:  a second run on the same array (another model, another diameter), intensities that are measured under the
#           masks: both see other numbers than the file holds. `image.copy()` mends it.
#
# The network is stood in for: the image is all that is looked at. So are segment_anything and torchvision, which play no
# part in it: their builds need not fit torch's.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check "torch==2.13.0" "numpy<2.5" scipy natsort \
    "tifffile==2026.3.3" tqdm "opencv-python-headless<6" "fastremap==1.21.0" "imagecodecs==2026.3.6" roifile "fill-voids==2.1.2"
"$folder/env/bin/pip" install -q --disable-pip-version-check --no-deps "cellpose==4.2.1.1"
cd "$folder"
HOME="$folder" "$folder/env/bin/python" - <<'PY'
import sys
from importlib.metadata import version
from unittest.mock import MagicMock

for name in ("segment_anything", "torchvision", "torchvision.transforms"):
    sys.modules[name] = MagicMock()
import numpy as np
import torch
from cellpose import models


class Seeing(models.CellposeModel):
    """Cellpose's own eval; the network only remembers what it is given."""

    def __init__(self) -> None:
        self.backbone, self.device = "sam_vitl", torch.device("cpu")

    def _run_net(self, x, **_):
        self.seen = x.copy()
        return np.zeros((2, *x.shape[:3])), np.zeros(x.shape[:3]), np.zeros(256)


print("cellpose", version("cellpose"), "torch", version("torch"), "numpy", version("numpy"))
noise = np.random.default_rng(0).integers(100, 4000, (3, 64, 80))
model = Seeing()
given = {
    "plane": (noise[0], {}),
    "plane with channels": (np.moveaxis(noise, 0, -1), {"channel_axis": 2}),
    "stack": (noise, {"z_axis": 0, "do_3D": True}),
}
for name, (image, options) in given.items():
    for dtype in (np.uint16, np.float64, np.float32):
        mine = image.astype(dtype)
        model.eval(mine, compute_masks=False, **options)
        same = bool(np.array_equal(mine, image))
        print(f"{name}, {np.dtype(dtype).name}: {'as it was' if same else f'now {mine.min():.2f} to {mine.max():.2f}'}")
        assert same == (dtype is not np.float32), "this has changed"
PY
