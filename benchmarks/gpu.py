"""What bigcell reaches on a GPU: flow following, networks, and the share of a run in which the GPU is busy.

    python benchmarks/gpu.py [--side 512] [--run IMAGE.zarr --model MODEL --diameter D]

Prints JSON: for flow following, foreground voxels a second and the fraction of the memory bandwidth that the bytes
stand for which must move at least (flow and mask read once, ends written once); for CPnet and the ViT-L transformer
(random weights), the fraction of the measured bfloat16 matmul rate; with --run, the mean utilisation that nvidia-smi
reports over a segmentation from disk to disk. `--device cpu` with a small side shows that it runs, no more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import bigcell
from bigcell.core.box import Box
from bigcell.dynamics.backend import choose_follow
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.flows.runner import Runner
from bigcell.networks.cpnet import CPnet
from bigcell.networks.sam_vit import CellposeSAM, SamSizes
from bigcell.testing.flows import FlowLattice


def best(call: Callable[[], object], device: str, repeats: int = 5) -> float:
    """Seconds of the fastest of several calls, to the end of all work on the device."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def machine(device: str, side: int) -> dict[str, float]:
    """The rate of bfloat16 matrix products, and of copying memory (read and written)."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.zeros(side**2 * 16, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return {
        "bf16_flops": 2 * side**3 / best(lambda: a @ b, device),
        "bytes_per_s": 2 * len(source) / best(lambda: target.copy_(source), device),
    }


def following(device: str, side: int, limit: float) -> dict[str, float]:
    """Following a cube of exact flows as a block of a run is followed, copies to and from the device with it."""
    extent = (side,) * 3
    whole = Box.of(extent)
    made = FlowLattice(extent, diameter=20, noise=0.3, fill=0.6).read(whole)
    mask = made[3] > 0
    flow = np.rint(made[:3] * (1024 / 5)).astype(np.int16) * mask
    follow = choose_follow(device).core
    seconds = best(lambda: follow(flow, mask, whole, whole, extent, DynamicsSettings()), device)
    least = flow.nbytes + mask.nbytes + 4 * mask.size
    return {"voxels_per_s": float(mask.sum()) / seconds, "of_bandwidth": least / seconds / limit, "seconds": seconds}


def network(net: torch.nn.Module, tiles: torch.Tensor, device: str, limit: float) -> dict[str, float]:
    """One batch of tiles through the runner, as a run does it: from host memory and back."""
    runner = Runner(net.eval(), device=torch.device(device), precision="bfloat16")
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        type(net)(**_recipe(net))(tiles.to("meta"))
    seconds = best(lambda: runner(tiles), device)
    work = counter.get_total_flops()
    return {"flops_per_s": work / seconds, "of_matmul": work / seconds / limit, "tiles_per_s": len(tiles) / seconds}


def _recipe(net: torch.nn.Module) -> dict[str, object]:
    return {"nbase": net.nbase} if isinstance(net, CPnet) else {"sizes": SamSizes()}


def busy(image: Path, model: str, diameter: float) -> dict[str, float]:
    """The mean utilisation of the GPU over a whole run, sampled ten times a second."""
    samples: list[float] = []
    done = threading.Event()
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]

    def sample() -> None:
        while not done.wait(0.1):
            samples.append(float(subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]))

    watcher = threading.Thread(target=sample)
    watcher.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            bigcell.segment(image, model=model, diameter=diameter, output=Path(folder, "out.zarr"))
            seconds = time.perf_counter() - start
    finally:
        done.set()
        watcher.join()
    return {"seconds": seconds, "busy": float(np.mean(samples)) / 100}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--matmul", type=int, default=8192, help="side of the matrices that give the limit")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--diameter", type=float, default=30.0)
    options = parser.parse_args()
    device = options.device
    limit = machine(device, options.matmul)
    found: dict[str, object] = {"machine": limit, "follow": following(device, options.side, limit["bytes_per_s"])}
    unet, tiles = CPnet((2, 32, 64, 128, 256)), torch.rand(options.batch, 2, 224, 224)
    found["cpnet"] = network(unet, tiles, device, limit["bf16_flops"])
    if device == "cuda":
        tiles = torch.rand(options.batch, 3, 256, 256)
        found["vit_l"] = network(CellposeSAM(SamSizes()), tiles, device, limit["bf16_flops"])
    if options.run:
        found["run"] = busy(options.run, options.model, options.diameter)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
