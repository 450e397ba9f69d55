#!/usr/bin/env bash
# cellpose 4.2.1.1: `eval` on a batch of images changes how later stacks are normalised, in the same process.
#
# CellposeModel.eval takes the module's dict of defaults itself, not a copy, and writes into it: a batch of 2-D images,
# (n, y, x, c), sets norm3D to False for good. A later call with stitch_threshold then scales each plane by its own
# percentiles, and not the stack by one pair, which norm3D=True is documented to do and is the documented default.
#
# Expected: the same call on the same image gives the same input to the network, whatever ran before.
# Seen:     a plane that is 10 times darker than the others is seen dark at first, and as bright as the rest afterwards.
# Matters:  labels of a stack depend on what the process (a notebook, a loop over files) segmented before.
#           `normalize={"norm3D": True}` mends it.
#
# The network is stood in for: what it is given is all that is looked at. So are segment_anything and torchvision, which
# play no part in it: their builds need not fit torch's.
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
STACK = np.random.default_rng(0).random((4, 64, 64))
STACK[0] /= 10
model = Seeing()
brightest = []
for before in (None, "a batch"):
    if before:
        model.eval(STACK[..., np.newaxis].copy(), channel_axis=3, compute_masks=False)
    model.eval(STACK.copy(), z_axis=0, stitch_threshold=0.5, compute_masks=False)
    brightest.append(round(float(model.seen[0].max()), 3))
    print(f"stitch_threshold=0.5, before it {before or 'nothing'}: brightest pixel of the dark plane {brightest[-1]}")
model.eval(STACK.copy(), z_axis=0, stitch_threshold=0.5, compute_masks=False, normalize={"norm3D": True})
print(f"with norm3D asked for: {float(model.seen[0].max()):.3f}; the default is now {models.normalize_default['norm3D']}")
if brightest[0] == brightest[1]:
    raise SystemExit("this has changed: the second call is as the first")
assert brightest[0] < 0.2 and brightest[1] > 0.9, "this has changed: other numbers"
PY
