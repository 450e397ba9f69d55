"""Make the fixtures of tests/parity again, from what the released Cellpose packages (and StarDist) answer.

    ./scripts/peers && python scripts/make_parity.py [--out tests/parity/fixtures] [--only masks images ...]

Everything starts from seeds: label images and noise (scripts/parity/shapes.py, cases.py), weights
(bigcell.testing.weights). The scripts in scripts/parity run in the environments of the packages; only their
answers are kept, with a manifest of versions and SHA-256. BIGCELL_PEERS names the folder of the environments.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
PEERS = Path(os.environ.get("BIGCELL_PEERS", ROOT / ".peers"))
VERSIONS = """
import importlib.metadata, json, platform
there = {found.metadata["Name"] for found in importlib.metadata.distributions()}
names = ("cellpose", "stardist", "torch", "transformers", "numpy")
print(json.dumps({name: importlib.metadata.version(name) for name in names if name in there} | {
    "python": platform.python_version()}))
"""


def run(peer: str, *arguments: str) -> str:
    """A script, in the environment of `peer`; bigcell is on its path for what needs numpy alone."""
    python = PEERS / peer / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{python} is not there: run ./scripts/peers first")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([str(python), *arguments], env=environment, check=True, capture_output=True, text=True)
    return done.stdout


def answers(folder: Path, peer: str, script: str, what: str, *inputs: Path) -> dict[str, np.ndarray]:
    """The arrays that one script answers."""
    out = folder / f"{peer}-{what}.npz"
    run(peer, str(ROOT / "scripts" / "parity" / f"reference_{script}.py"), what, str(out), *map(str, inputs))
    with np.load(out) as arrays:
        return dict(arrays)


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size} bytes", flush=True)


def masks(folder: Path, out: Path) -> None:
    """Flows of labels by both versions, and masks from these flows, exact and noisy."""
    made = {peer: answers(folder, peer, "masks", "flows") for peer in ("cellpose3", "cellpose4")}
    flows = {f"{peer}/{n}": made[peer][n] for peer in made for n in ("packed2", "awkward2")}
    write(out / "flows.npz", {**flows, "cellpose4/awkward3": made["cellpose4"]["awkward3"]})
    units = {name: np.round(flow / 256).astype(np.int8) for name, flow in made["cellpose3"].items()}
    write(out / "units.npz", units)
    for peer in made:
        write(out / f"masks_{peer}.npz", answers(folder, peer, "masks", "masks", out / "units.npz"))
    write(out / "stitched.npz", {
        f"{peer}/{name}": labels
        for peer in made for name, labels in answers(folder, peer, "masks", "stitched").items()
    })  # fmt: skip


def images(folder: Path, out: Path) -> None:
    """Normalised images (Cellpose 4's only where they differ) and the size model's diameters."""
    old, new = (answers(folder, peer, "images", "normalised") for peer in ("cellpose3", "cellpose4"))
    differ = {f"cellpose4/{n}": v for n, v in new.items() if not np.allclose(v, old[n], rtol=0, atol=1e-5)}
    write(out / "normalised.npz", {**{f"cellpose3/{n}": v for n, v in old.items()}, **differ})
    write(out / "size.npz", answers(folder, "cellpose3", "images", "size"))


def networks(folder: Path, out: Path) -> None:
    for peer in ("cellpose3", "cellpose4"):
        write(out / f"network_{peer}.npz", answers(folder, peer, "network", peer))
    write(out / "network_cpdino.npz", answers(folder, "cellpose4", "network", "cpdino"))


def metrics(folder: Path, out: Path) -> None:
    """Scores of pairs of labellings, by both versions of Cellpose and by StarDist."""
    scorers = {"cellpose3": "cellpose", "cellpose4": "cellpose", "stardist": "stardist"}
    made = {peer: answers(folder, peer, "metrics", what) for peer, what in scorers.items()}
    write(out / "metrics.npz", {f"{peer}/{n}": v for peer, found in made.items() for n, v in found.items()})


def exported(folder: Path, out: Path) -> None:
    """A small network that was trained and exported by bigcell, and what Cellpose 3.1 makes of an image with it."""
    from safetensors.numpy import load_file

    from bigcell.training.output.export import export_model

    sys.path.insert(0, str(ROOT))
    from scripts.parity.cases import every
    from scripts.parity.trained import image, shown, train

    model = train(folder)
    np.save(folder / "image.npy", shown(image()))
    made = folder / "exported.npz"
    script = str(ROOT / "scripts" / "parity" / "reference_export.py")
    run("cellpose3", script, str(export_model(model, folder / "exported.pt")), str(folder / "image.npy"), str(made))
    with np.load(made) as arrays:
        answered = {name: arrays[name] for name in ("masks", "diameters")}
        answered |= {name: every(arrays[name], 11) for name in ("flows", "logit")}
    weights = {name: value for name, value in load_file(model).items() if value.dtype.kind == "f"}
    layout = np.array(json.dumps({name: value.shape for name, value in weights.items()}))
    flat = np.concatenate([value.ravel() for value in weights.values()])
    write(out / "exported_cellpose3.npz", {"image": image(), **answered, "layout": layout, "weights": flat})


GROUPS = {"masks": masks, "images": images, "networks": networks, "metrics": metrics, "exported": exported}


def manifest(out: Path) -> None:
    files = sorted(out.glob("*.npz"))
    written = {
        "made_by": "scripts/make_parity.py",
        "packages": {peer: json.loads(run(peer, "-c", VERSIONS)) for peer in ("cellpose3", "cellpose4", "stardist")},
        "sha256": {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files},
        "bytes": sum(f.stat().st_size for f in files),
    }
    (out / "manifest.json").write_text(json.dumps(written, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "parity" / "fixtures")
    parser.add_argument("--only", choices=GROUPS, nargs="+", default=list(GROUPS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for group in options.only:
            GROUPS[group](Path(folder), options.out)
    manifest(options.out)


if __name__ == "__main__":
    main()
