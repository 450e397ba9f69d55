"""The works of ./scripts/bench as the released Cellpose packages do them; run in their environments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from cellpose import dynamics, utils
from stopwatch import Work, main

CPU = torch.device("cpu")


def masks3(folder: Path) -> Work:
    flows, logit = np.load(folder / "flows.npy"), np.load(folder / "logit.npy")
    return lambda: {"labels": dynamics.compute_masks(flows, logit, do_3D=True, min_size=15, device=CPU)}


def masks2(folder: Path) -> Work:
    flows, logit = np.load(folder / "flows.npy"), np.load(folder / "logit.npy")
    return lambda: {"labels": dynamics.compute_masks(flows, logit, flow_threshold=0.4, min_size=15, device=CPU)}


def to_flows2(folder: Path) -> Work:
    labels = np.load(folder / "labels.npy").astype(np.int64)
    return lambda: {"flows": dynamics.labels_to_flows([labels.copy()], device=CPU)[0][2:]}


def to_flows3(folder: Path) -> Work:
    labels = np.load(folder / "labels.npy").astype(np.int64)
    return lambda: {"flows": dynamics.masks_to_flows_gpu_3d(labels, device=CPU)}


def link(folder: Path) -> Work:
    labels = np.load(folder / "labels.npy")
    return lambda: {"labels": utils.stitch3D(labels.copy(), stitch_threshold=0.25)}


def network(folder: Path):
    """CPnet of Cellpose 3.1, 2 channels, 6.6 M parameters, with the weights in `folder`."""
    from cellpose.resnet_torch import CPnet

    net = CPnet([2, 32, 64, 128, 256], nout=3, sz=3)
    net.load_model(folder / "cpnet.pt", device=CPU)
    return net.eval()


def plane(folder: Path) -> Work:
    from cellpose.core import run_net

    net, image = network(folder), np.load(folder / "plane.npy")
    return lambda: {"flows": run_net(net, image)[0]}


def views(folder: Path) -> Work:
    from cellpose.core import run_3D

    net, image = network(folder), np.load(folder / "volume.npy")
    return lambda: {"flows": run_3D(net, image)[0]}


if __name__ == "__main__":
    main({
        "masks3": (masks3, "small3"),
        "masks2": (masks2, "small2"),
        "to_flows2": (to_flows2, "small2"),
        "to_flows3": (to_flows3, "small3"),
        "link": (link, "small3"),
        "plane": (plane, ""),
        "views": (views, ""),
    })  # fmt: skip
