"""Try every name of `bigcell models list` from the built wheel, in an environment of its own: a table of what came out.

    python scripts/try_models.py [--only NAME ...] [--keep FOLDER]

The wheel is built and installed in a temporary folder, torch first and pinned as in scripts/env. The models that come
with bigcell are loaded as they are. Of each published one a file is made that has the names and shapes of the real one,
weights from a seed, and the name under which the download would lie: where the catalogue has no hash it is loaded by
name; where it has one, loading by name has to be refused, and the file is loaded by its path. Then one tile is run.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bigcell.networks.catalogue import Entry

ROOT = Path(__file__).resolve().parents[1]
CPNET = (2, 32, 64, 128, 256)
WITHOUT_DIAMETER = {"cyto2", "cyto_cp1", "nuclei_cp1", "cpsam", "cpsam_v2", "cpdino", "cpdino-vitb"}
"""Models of Cellpose 1 and 4, whose published files do not tell it."""
SMALL = 64
"""Side of the tile for a network that takes any, in pixels."""


@dataclass(frozen=True)
class Row:
    """What came out for one name."""

    name: str
    kind: str
    loaded: str
    tile: int
    out: str
    seconds: float

    def __str__(self) -> str:
        out = f"{self.tile:>4} -> {self.out}"
        return f"{self.name:<26}{self.kind:<15}{self.loaded:<34}{out:<26}{self.seconds:6.1f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these names alone")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="a folder for the environment, which stays")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(options.only)
    with TemporaryDirectory() as folder:
        home = options.keep or Path(folder)
        python = installed(home)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
            "BIGCELL_MODELS": str(home / "none")
        }
        environment["CELLPOSE_LOCAL_MODELS_PATH"] = str(home / "none")
        words = [
            str(python),
            str(Path(__file__).resolve()),
            "--inside",
            *(["--only", *options.only] if options.only else []),
        ]
        return subprocess.run(words, cwd=home, env=environment).returncode


def installed(home: Path) -> Path:
    """The interpreter of a new environment in `home` with the wheel of this folder."""
    pip = ["-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([sys.executable, *pip, "wheel", "--no-deps", "-w", str(home / "wheel"), str(ROOT)], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(home / "env")], check=True)
    python = home / "env" / "bin" / "python"
    pinned = re.search(r'"(torch==[^"]+)"', (ROOT / "scripts" / "env").read_text())
    wheel = next((home / "wheel").glob("bigcell-*.whl"))
    for what in (pinned[1] if pinned else "torch", str(wheel)):
        subprocess.run([str(python), *pip, "install", what], check=True)
    return python


def inside(only: list[str]) -> int:
    """In the new environment: a line for each name; 1 if any of them fails."""
    import bigcell

    here = Path(bigcell.__file__).resolve()
    if ROOT in here.parents:
        raise SystemExit(f"bigcell is imported from {here}, not from the wheel")
    print(f"bigcell {bigcell.__version__} of {here.parent}")
    failed = 0
    for name in only or listed():
        try:
            print(tried(name), flush=True)
        except Exception as error:
            failed += 1
            print(f"{name:<26}FAILED: {type(error).__name__}: {error}", flush=True)
    print(f"{failed} of them failed" if failed else "all of them run")
    return 1 if failed else 0


def listed() -> list[str]:
    """The names that `bigcell models list` prints, down to the empty line before the terms."""
    command = Path(sys.executable).with_name("bigcell")
    done = subprocess.run([str(command), "models", "list"], check=True, capture_output=True, text=True)
    return [line.split()[0] for line in done.stdout.partition("\n\n")[0].splitlines()]


def tried(name: str) -> Row:
    """One model, from its file to the output of a tile."""
    from bigcell.networks.source import BUNDLED

    begun = time.monotonic()
    with TemporaryDirectory() as folder:
        os.environ["BIGCELL_MODELS"] = folder
        model, loaded = _bundled(name) if name in BUNDLED else _published(name, Path(folder))
        tile = model.tile or SMALL
        shape = _run(model, tile)
    return Row(name, model.kind, loaded, tile, shape, time.monotonic() - begun)


def _bundled(name: str) -> tuple[object, str]:
    from bigcell.networks.registry import load_model

    return load_model(name), "by name, its own weights"


def _published(name: str, folder: Path) -> tuple[object, str]:
    import torch

    from bigcell.core.errors import ModelError
    from bigcell.networks.catalogue import CATALOGUE
    from bigcell.networks.registry import load_model, load_size_model

    entry = CATALOGUE[name]
    path = folder / entry.weights.name
    torch.save(weights_like(entry), path)
    sized = ""
    if entry.size_model is not None:
        _write_size_model(folder / entry.size_model.name)
        sized = " with its size model" if load_size_model(name) is not None else ""
    if not entry.weights.sha256:
        return load_model(name), f"by name{sized}"
    try:
        load_model(name)
    except ModelError as refused:
        if "SHA-256" not in str(refused):
            raise
    else:
        raise AssertionError("a file that is not the published one was loaded by its name")
    return load_model(path), "by path (by name: refused)"


def weights_like(entry: Entry) -> dict[str, torch.Tensor]:
    """A state dict with the names and shapes of the published file, of weights from a seed."""
    from random_networks import random_network

    from bigcell.networks.cpnet import CPnet
    from bigcell.networks.dino_vit import VIT_B, CellposeDINO
    from bigcell.networks.sam_vit import CellposeSAM

    if entry.kind == "CPnet":
        network: nn.Module = CPnet(CPNET, diam_mean=entry.diameter)
    elif entry.kind == "Cellpose-SAM":
        network = CellposeSAM()
    else:
        network = CellposeDINO(VIT_B if entry.name.endswith("vitb") else None)
    state = random_network(network).state_dict()
    return {k: v for k, v in state.items() if entry.name not in WITHOUT_DIAMETER or not k.startswith("diam")}


def _write_size_model(path: Path) -> None:
    import numpy as np

    parts = {"A": np.full(CPNET[-1], 0.01), "smean": np.zeros(CPNET[-1]), "ymean": np.array(0.0), "diam_mean": 30.0}
    np.save(path, parts, allow_pickle=True)  # type: ignore[arg-type]


def _run(model: object, tile: int) -> str:
    import torch

    from bigcell.flows.runner import Runner, trial_tile

    out = Runner(model.network, torch.device("cpu"))(trial_tile(model.channels, tile, tile))  # type: ignore[attr-defined]
    if tuple(out.shape) != (1, 3, tile, tile) or not float(out.std()) > 0:
        raise AssertionError(f"a tile of {tile} pixels became {tuple(out.shape)}, spread {float(out.std())}")
    return "x".join(map(str, out.shape))


if __name__ == "__main__":
    sys.exit(main())
