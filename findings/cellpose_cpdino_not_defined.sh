#!/usr/bin/env bash
# cellpose 4.2.1.1: two of the four models that it lists cannot be made after `pip install cellpose`.
#
# `cpdino` and `cpdino-vitb` (models.MODEL_NAMES) build on DINOv3, whose package is not on PyPI and so is not among what
# cellpose requires. cellpose/vit.py catches the failed import with a bare `except` and a warning, so `from .vit import
# CPDINO` in models.py never fails, and the missing names come out where the network is made, after a download of 0.3 or
# 1.2 GB.
#
# Expected: an error that names the package and how to get it, before the weights are fetched; or the models run.
# Seen:     NameError "name 'dinov3_vitl16' is not defined" (or 'dinov3_vitb16').
# Matters:  the error names neither the package nor the model, and comes from inside CPDINO.__init__.
#
# No weights are needed to see it: a file with the entries by which cellpose tells its networks apart is enough.
# segment_anything and torchvision, which play no part in it, are stood in for: so their builds need not fit torch's.
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
from importlib.metadata import requires, version
from unittest.mock import MagicMock

for name in ("segment_anything", "torchvision", "torchvision.transforms"):
    sys.modules[name] = MagicMock()
import torch
from cellpose import models

print("cellpose", version("cellpose"), "torch", version("torch"))
print("listed:", models.MODEL_NAMES)
assert not any("dinov3" in each for each in requires("cellpose")), "this has changed: DINOv3 is required"
for name, width in (("cpdino", 1024), ("cpdino-vitb", 768)):
    assert name in models.MODEL_NAMES, "this has changed: the model is not listed"
    patches = torch.zeros(width, 3, 16, 16)
    torch.save({"encoder.cls_token": torch.zeros(1, 1, width), "encoder.patch_embed.proj.weight": patches}, name)
    try:
        models.CellposeModel(pretrained_model=name)
    except NameError as error:
        print(f"{name}: NameError: {error}")
        assert "dinov3_vit" in str(error), "this has changed: another name"
    else:
        raise SystemExit("this has changed: the network is made")
PY
