"""The works of ./scripts/bench as bigcell does them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from stopwatch import Prepare, Work, main

import bigcell


def masks(folder: Path) -> Work:
    flows, logit = np.load(folder / "flows.npy"), np.load(folder / "logit.npy")
    return lambda: {"labels": bigcell.masks_from_flows(flows, logit)}


def to_flows(folder: Path) -> Work:
    labels = np.load(folder / "labels.npy")
    return lambda: {"flows": bigcell.flows_from_labels(labels)}


def link(folder: Path) -> Work:
    labels = np.load(folder / "labels.npy")
    return lambda: {"labels": bigcell.link_planes(labels, 0.25)}


def link_stream(folder: Path) -> Work:
    """Plane by plane from the file, nothing kept."""
    from bigcell.stitch.planes import iter_linked

    held = np.load(folder / "labels.npy", mmap_mode="r")
    planes, shape, dtype, offset = len(held), held.shape[1:], held.dtype, held.offset
    del held

    def read(i: int) -> np.ndarray:
        size = int(np.prod(shape))
        plane = np.fromfile(folder / "labels.npy", dtype, size, offset=offset + i * size * dtype.itemsize)
        return plane.reshape(shape)

    def run() -> dict[str, np.ndarray]:
        linked = iter_linked((read(i) for i in range(planes)), 0.25)
        return {"objects": np.array(max(int(plane.max()) for plane in linked))}

    return run


def network(folder: Path, image: str, precision: str, *, parity: bool) -> Work:
    """Flows of an image by CPnet: with `parity` on the reference's tiles, summed, else as bigcell does by default."""
    import torch

    from bigcell.flows.predict import predict_cube
    from bigcell.flows.runner import Runner
    from bigcell.flows.settings import FlowSettings
    from bigcell.networks.registry import load_model
    from bigcell.tiling.lattice import Lattice, TileSettings

    torch.set_num_threads(2)
    model = load_model(folder / "cpnet.pt")
    channels = np.ascontiguousarray(np.moveaxis(np.load(folder / f"{image}.npy"), -1, 0))
    tiles = TileSettings(size=224, overlap=0.1, layout="cellpose") if parity else TileSettings()
    settings = FlowSettings(views="sum" if parity else "average", precision=precision)
    runner = Runner(model.network, precision=precision)
    lattice = Lattice(channels.shape[1:], tiles)

    def run() -> dict[str, np.ndarray]:
        total = np.zeros((4, *lattice.extent), np.int32)
        for cube in range(len(lattice.cubes)):
            place = (slice(None), *lattice.footprint(cube).slices)
            total[place] += predict_cube(runner, channels[place], lattice, cube, settings)
        flows = total * np.array([5 / 1024] * 3 + [1 / 256], np.float32)[:, None, None, None]
        return {"flows": np.moveaxis(flows if lattice.extent[0] > 1 else flows[1:], 0, -1)}

    return run


def runs(image: str, name: str) -> dict[str, tuple[Prepare, str]]:
    """The network's works over one image: NAME_PRECISION on the reference's tiles, NAME_default_PRECISION on ours."""

    def work(precision: str, parity: bool) -> tuple[Prepare, str]:
        return lambda folder: network(folder, image, precision, parity=parity), ""

    same = {f"{name}_{p}": work(p, True) for p in ("float32", "bfloat16")}
    return same | {f"{name}_default_{p}": work(p, False) for p in ("float32", "bfloat16")}


if __name__ == "__main__":
    main({
        "masks3": (masks, "small3"),
        "masks2": (masks, "small2"),
        "to_flows2": (to_flows, "small2"),
        "to_flows3": (to_flows, "small3"),
        "link": (link, "small3"),
        "link_stream": (link_stream, "small3"),
        **runs("plane", "plane"),
        **runs("volume", "views"),
    })  # fmt: skip
