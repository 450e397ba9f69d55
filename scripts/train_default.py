"""Train the bundled default model on synthetic tissue and, where given, on real labelled images.

    python scripts/train_default.py --data FOLDER --out bigcell/networks/weights/default.pt --minutes 60

FOLDER holds `nuclei2d_dsb2018`, `cells2d_phase_usiigaci`, `membrane3d_root`, `organoid3d_38`, `organoid3d_38_round2`;
whichever is absent is left out. Weights are saved as float16 every few minutes, so there is always a model to use.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tifffile
import torch
from skimage.io import imread

from bigcell.networks.cpnet import CPnet
from bigcell.testing.synthetic import Look, SyntheticVolume, Tissue, sample_volume
from bigcell.training.augment import Augmentation
from bigcell.training.data import Batch, Example, draw_batch, example_of_plane, examples_of_stack
from bigcell.training.loop import Schedule, fit

NBASE = (2, 16, 32, 64, 128)
Source = tuple[str, float, list[Example]]  # name, how often its planes come up, planes


def any_look(kind: str, rng: np.random.Generator) -> Look:
    """A random look of cells with dark seams ("body"), of a membrane stain, or of densely packed nuclei."""
    noise = float(np.exp(rng.uniform(np.log(0.3), np.log(5))))
    haze = rng.uniform(0, 0.6) * (rng.random() < (0.7 if kind == "nuclei" else 0.3))
    optics = {"noise": noise, "blur": rng.uniform(0.02, 0.07), "blur_z": rng.uniform(1.2, 3.0), "haze": haze}
    shared = {**optics, "spread": rng.uniform(0.1, 0.45), "background": rng.uniform(60, 250)}
    if kind == "body":
        body = rng.uniform(400, 1500)
        rim = body * rng.uniform(0.1, 0.7)
        return Look(body, rim, rng.uniform(0.05, 0.12), rng.uniform(0.3, 1.1), rng.uniform(0.05, 0.35), **shared)
    if kind == "membrane":
        rim = rng.uniform(500, 1500)
        return Look(rim * rng.uniform(0.1, 0.5), rim, rng.uniform(0.04, 0.1), rng.uniform(0.5, 1), 0.2, **shared)
    body = rng.uniform(300, 1500)
    return Look(body, body * rng.uniform(0.4, 0.95), 0.06, 1.0, rng.uniform(0.1, 0.5), **shared)


def any_sample(kind: str, seed: int) -> SyntheticVolume:
    """A random synthetic volume."""
    rng = np.random.default_rng(seed)
    sparse = kind == "nuclei"
    filled = rng.uniform(0.1, 0.95) if sparse else rng.uniform(0.75, 1.0)
    gap = rng.uniform(0, 0.08) * sparse
    tissue = Tissue(rng.uniform(0.1, 0.9), rng.uniform(1, 1.8), filled, gap, variety=rng.uniform(0.05, 0.3))
    z = float(rng.choice((1.0, 1.0, 1.5, 2.0, 3.0)))
    extent = (int(np.ceil(112 / z)), 160, 160)
    diameter = float(rng.uniform(14, 22))
    return sample_volume(
        extent, diameter=diameter, spacing=(z, 1, 1), seed=seed, look=any_look(kind, rng), tissue=tissue
    )


def synthetic(kind: str, count: int, share: float, seed: int) -> Source:
    """Planes of `count` synthetic volumes; of "inner nuclei", the nuclei inside packed cells are what is segmented."""
    planes: list[Example] = []
    for i in range(count):
        made = any_sample("body" if kind == "inner nuclei" else kind, seed + i)
        if kind == "inner nuclei":
            image, labels = made.image[1:], made.nuclei
        else:
            image, labels = (made.image[:1] if kind == "nuclei" else made.image), made.labels
        planes += examples_of_stack(image, labels, anisotropy=made.spacing.anisotropy, every=8)
    return f"synthetic {kind}", share, planes


def flat_images(folder: Path, share: float, *, invertible: bool) -> Source:
    """Images NAME_image.png with NAME_labels.png."""
    planes = []
    for path in sorted(folder.glob("*_image.png")):
        labels = imread(path.with_name(path.name.replace("_image", "_labels")))
        image = imread(path).astype(np.float32)
        image = image[..., :3].mean(-1) if image.ndim == 3 else image
        if labels.any():
            planes.append(example_of_plane(image[None], labels, invertible=invertible))
    return f"{folder.parent.name}/{folder.name}", share, planes


def stack(folder: Path, labels: str, share: float, channels: list[int], *, anisotropy: float) -> Source:
    image, truth = tifffile.imread(folder / "image.tif"), tifffile.imread(folder / labels)
    image = image[None] if image.ndim == 3 else image
    if folder.name == "membrane3d_root":
        image, truth = image[:, :28], truth[:28]  # labels are bad further on
    planes = examples_of_stack(image[channels].astype(np.float32), truth, anisotropy=anisotropy, every=2)
    return f"{folder.name} {labels}", share, planes


def sources(data: Path | None, volumes: int) -> list[Source]:
    """Everything that there is to learn from."""
    found = [
        synthetic("body", volumes, 0.23, 1000),
        synthetic("membrane", volumes // 2, 0.06, 2000),
        synthetic("nuclei", volumes * 3 // 2, 0.22, 3000),
        synthetic("inner nuclei", volumes // 3, 0.04, 4000),
    ]
    if data is None:
        return found
    real: list[tuple[str, Callable[[], Source]]] = [
        (
            "nuclei2d_dsb2018/fluorescence",
            lambda: flat_images(data / "nuclei2d_dsb2018/fluorescence", 0.28, invertible=False),
        ),
        ("nuclei2d_dsb2018/histology", lambda: flat_images(data / "nuclei2d_dsb2018/histology", 0.04, invertible=True)),
        ("cells2d_phase_usiigaci", lambda: flat_images(data / "cells2d_phase_usiigaci", 0.05, invertible=True)),
        ("membrane3d_root", lambda: stack(data / "membrane3d_root", "labels.tif", 0.04, [0], anisotropy=1.0)),
        ("organoid3d_38", lambda: stack(data / "organoid3d_38", "labels.tif", 0.025, [0], anisotropy=2.0)),
        ("organoid3d_38", lambda: stack(data / "organoid3d_38", "cells.tif", 0.02, [1, 0], anisotropy=2.0)),
        (
            "organoid3d_38_round2",
            lambda: stack(data / "organoid3d_38_round2", "labels.tif", 0.025, [0], anisotropy=2.0),
        ),
    ]
    return found + [make() for name, make in real if (data / name).is_dir()]


def batches(found: list[Source], size: int, seed: int) -> Iterator[Batch]:
    """Batches without end."""
    planes = [plane for _, _, group in found for plane in group]
    weights = np.concatenate([np.full(len(group), share / len(group)) for _, share, group in found])
    rng = np.random.default_rng(seed)
    settings = Augmentation()
    while True:
        yield draw_batch(planes, weights, settings, size, rng)


def save(weights: dict[str, torch.Tensor], path: Path) -> None:
    """float16, and whole or not at all."""
    half = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    torch.save(half, path.with_suffix(".partial"))
    path.with_suffix(".partial").rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop by then, the rate falling in time")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--volumes", type=int, default=24)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="weights to go on from")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    began = time.monotonic()
    found = sources(given.data, given.volumes)
    for name, share, planes in found:
        print(f"{name}: {len(planes)} planes, {100 * share:.1f} parts in 100", flush=True)
    network = CPnet(NBASE, diam_mean=Augmentation().diameter).to(memory_format=torch.channels_last)
    if given.start:
        network.load_state_dict(torch.load(given.start, weights_only=True))

    def behind(step: int) -> float:
        return max(step / given.steps, (time.monotonic() - began) / 60 / given.minutes)

    schedule = Schedule(given.steps, rate=given.rate)
    losses: list[float] = []
    weights = {}
    for done in fit(network, batches(found, given.batch, given.seed), schedule, behind=behind):
        losses.append(done.loss)
        weights = done.weights
        if done.step % 50 == 0:
            minutes = (time.monotonic() - began) / 60
            print(f"{done.step} {minutes:.1f} min loss {np.mean(losses[-50:]):.4f} rate {done.rate:.2e}", flush=True)
        if done.step % 250 == 0:
            save(weights, given.out)
    save(weights, given.out)
    print(f"done: {len(losses)} steps, loss of the last 200 {np.mean(losses[-200:]):.4f}")


if __name__ == "__main__":
    main()
