"""A real network's flows and masks by Cellpose 3.1: run by tests/parity/test_real_network.py in its environment.

    python reference_real.py CHECKPOINT IMAGES OUT

For every ``*_img.png`` the flows, the logit and the masks that `CellposeModel.eval` gives with diameter 30, cells in
green (2) and nuclei in red (1), and the normalised image that the network saw.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from cellpose import models


def main() -> None:
    checkpoint, images, out = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    model, answers = models.CellposeModel(gpu=False, pretrained_model=checkpoint), {}
    for file in sorted(images.glob("*_img.png")):
        image = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[..., 2::-1]
        masks, flows, _ = model.eval(image, channels=[2, 1], diameter=30, channel_axis=-1)
        name = file.name.removesuffix("_img.png")
        answers |= {f"{name}/flows": flows[1], f"{name}/logit": flows[2], f"{name}/masks": masks.astype(np.uint16)}
    np.savez(out, **answers)


if __name__ == "__main__":
    main()
