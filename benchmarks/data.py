"""The synthetic data of ./scripts/bench: packed cells with known truth and their flows, made once, given to everyone.

    python benchmarks/data.py FOLDER NAME [NAME ...]

Each set is a folder of .npy files: `labels` (the truth), and `flows` (d, *space) in Cellpose's convention, five times
unit length, with `logit` of 6 in cells and -6 outside. Flows are bigcell's own for those labels: every cell's heat
alone, so nothing leaks over a border. A set with noise has the flows of another set, with noise of half a unit length
in each component.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

Zyx = tuple[int, int, int]


@dataclass(frozen=True)
class Cells:
    """Packed cells of `diameter` voxels over `extent` (z, y, x). `stack`: planes cut and numbered each on its own.
    `store`: flows and a noisy image of the cells also as OME-Zarr, float32, for pipelines."""

    extent: Zyx
    diameter: float
    flows: bool = True
    noise_of: str = ""
    stack: bool = False
    store: bool = False


SETS = {
    "cells3": Cells((256, 256, 256), 21.9),
    "noisy3": Cells((256, 256, 256), 21.9, noise_of="cells3"),
    "cells2": Cells((1, 2048, 2048), 21.6),
    "labels2": Cells((1, 1024, 1024), 26, flows=False),
    "labels3": Cells((64, 64, 64), 16, flows=False),
    "planes": Cells((4, 2048, 2048), 24, flows=False, stack=True),
    "planes_many": Cells((16, 2048, 2048), 24, flows=False, stack=True),
    "planes_large": Cells((4, 4096, 4096), 24, flows=False, stack=True),
    "whole": Cells((256, 512, 512), 24, store=True),
    "small3": Cells((32, 48, 48), 12),
    "small2": Cells((1, 96, 96), 14),
}


def quick() -> None:
    """Know every set also at a quarter of its length along each axis longer than 32, by the name ``quick_NAME``."""
    for name, cells in list(SETS.items()):
        z, y, x = (n // 4 if n > 32 else n for n in cells.extent)
        noise_of = f"quick_{cells.noise_of}" if cells.noise_of else ""
        SETS[f"quick_{name}"] = replace(cells, extent=(z, y, x), noise_of=noise_of)


NBASE = (2, 32, 64, 128, 256)
"""Channels of the U-Net that is timed: that of Cellpose 1 to 3, 6.6 million parameters."""


def folder_of(data: Path, name: str) -> Path:
    """The folder of a set, made first where it is not there yet."""
    folder = data / name
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if name.endswith("network"):
            _network(folder, 4 if name.startswith("quick") else 1)
        else:
            (_noisy if SETS[name].noise_of else _make)(data, folder, SETS[name])
        (folder / "ready").touch()
        print(f"made {name}", file=sys.stderr, flush=True)
    return folder


def _make(data: Path, folder: Path, cells: Cells) -> None:
    labels = _planes(cells) if cells.stack else _labels(cells, seed=1)
    _save(folder, "labels", labels if labels.shape[0] > 1 else labels[0])
    if cells.flows:
        import bigcell

        _save(folder, "flows", bigcell.flows_from_labels(labels if labels.shape[0] > 1 else labels[0]))
        _save(folder, "logit", np.where(labels if labels.shape[0] > 1 else labels[0], 6, -6).astype(np.float32))

    if cells.store:
        _stores(folder)


def _stores(folder: Path) -> None:
    """`flows.zarr` (dz, dy, dx, logit) and `image.zarr` (one channel: bright cells, dark borders, camera noise).
    `whole`: the labels that these flows give in one piece."""
    import bigcell
    from bigcell.core.volume import ArrayVolume
    from bigcell.io.ngff.write_image import write_image

    flows, logit, labels = (np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("flows", "logit", "labels"))
    _save(folder, "whole", bigcell.masks_from_flows(flows, logit))
    both = np.concatenate([flows, logit[None]])
    write_image(folder / "flows.zarr", ArrayVolume(both, channels=("dz", "dy", "dx", "cellprob")), levels=1)
    speed = np.sqrt((both[:3] ** 2).sum(0))
    image = (100 + 600 * (labels > 0) * (0.4 + 0.12 * speed)).astype(np.float32)
    image += 40 * np.random.default_rng(4).standard_normal(image.shape, dtype=np.float32)
    write_image(folder / "image.zarr", ArrayVolume(np.maximum(image, 0)[None], channels=("cells",)), levels=1)
    (folder / "flows.npy").unlink()
    (folder / "logit.npy").unlink()


def _noisy(data: Path, folder: Path, cells: Cells) -> None:
    exact = folder_of(data, cells.noise_of)
    flows = np.load(exact / "flows.npy")
    rng = np.random.default_rng(7)
    for component in flows:
        component += 2.5 * rng.standard_normal(component.shape, dtype=np.float32)
    _save(folder, "flows", flows)
    for name in ("labels.npy", "logit.npy"):
        os.link(exact / name, folder / name)


def _network(folder: Path, part: int) -> None:
    """A U-Net's checkpoint as Cellpose 3.1 saves it, with random weights, and what it is to look at: a plane of
    1024 x 1024 and a volume of 128 x 128 x 128, both (z, y, x, channels), 0 to 1; `part` of their sides."""
    import torch

    from bigcell.networks.cpnet import CPnet
    from bigcell.testing.weights import weights_from_seed

    network = CPnet(NBASE)
    weights = weights_from_seed({k: tuple(v.shape) for k, v in network.state_dict().items()}, seed=5)
    state = {name: torch.from_numpy(value) for name, value in weights.items()}
    torch.save(state, folder / "cpnet.pt")
    rng = np.random.default_rng(9)
    for name, shape in (("plane", (1, 1024 // part, 1024 // part, 2)), ("volume", (128 // part,) * 3 + (2,))):
        _save(folder, name, rng.random(shape, np.float32))


def _labels(cells: Cells, seed: int) -> np.ndarray:
    """uint32 ids 1..n: touching cells around a jittered lattice of centres, each as far as 0.6 diameters."""
    import fastremap

    from bigcell.core.box import Box
    from bigcell.testing.flows import FlowLattice

    truth = FlowLattice(cells.extent, diameter=cells.diameter, fill=0.6, seed=seed).truth(Box.of(cells.extent))
    return fastremap.renumber(truth, in_place=True)[0].astype(np.uint32)


def _planes(cells: Cells) -> np.ndarray:
    """Neighbouring sections of the same cells, ids of each plane shuffled and dense."""
    planes = _labels(cells, seed=2)
    rng = np.random.default_rng(3)
    for plane in planes:
        names = np.unique(plane[plane > 0])
        lookup = np.zeros(int(planes.max()) + 1, np.uint32)
        lookup[names] = 1 + rng.permutation(len(names))
        plane[...] = lookup[plane]
    return planes


def _save(folder: Path, name: str, array: np.ndarray) -> None:
    np.save(folder / f"{name}.npy", np.ascontiguousarray(array))


def main() -> None:
    for name in sys.argv[2:]:
        print(folder_of(Path(sys.argv[1]), name))


if __name__ == "__main__":
    main()
