"""A model that bigcell exported, as Cellpose 3.1 sees it: run in its environment.

    python reference_export.py MODEL.pt IMAGE.npy OUT.npz [SAVED.pt]

`CellposeModel` loads MODEL and segments IMAGE (channel, y, x), cells in the first channel and nuclei in the second, as
it is, at the diameter of the model. OUT gets masks, flows, logit and both diameters; SAVED the model as 3.1 saves it.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from cellpose import models


def main() -> None:
    model_file, image_file, out, *saved = sys.argv[1:]
    torch.set_num_threads(1)
    model = models.CellposeModel(gpu=False, pretrained_model=model_file)
    if saved:  # before `eval`, which turns the weights into those of oneDNN
        model.net.save_model(saved[0])
    image = np.load(image_file, allow_pickle=False)
    masks, flows, _ = model.eval(
        image, channels=[1, 2], channel_axis=0, normalize=False, diameter=float(model.diam_mean)
    )
    np.savez_compressed(
        out,
        masks=masks.astype(np.uint16),
        flows=flows[1].astype(np.float32),
        logit=flows[2].astype(np.float32),
        diameters=np.array([model.diam_mean, model.diam_labels], np.float32),
    )


if __name__ == "__main__":
    main()
