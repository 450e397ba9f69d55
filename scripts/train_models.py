"""Train the models that ship: synthetic images made here, real labelled ones from a folder, one recipe for each model.

    python scripts/train_models.py nuclei --data FOLDER --out runs/nuclei
    python scripts/train_models.py nuclei --out runs/nuclei --prepare     # the data only
    bigcell train --resume runs/nuclei/model                               # after a stop

OUT gets `synthetic/`, `data.toml` and `model/`, which is what `bigcell train` leaves. FOLDER holds the real sets that
`REAL` names, each in a folder of its name; without --data there are none. The same arguments give the same data,
batches and weights on one machine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import torch

import bigcell
from bigcell.io.labels.write_labels import write_labels
from bigcell.io.ngff.write_image import write_image
from bigcell.synthetic.random import random_sample
from bigcell.training.loop.events import Event

Entry = dict[str, object]
SYNTHETIC = {  # kind of image: how many, and its part of the crops
    "nuclei": {"nuclei": (48, 0.5)},
    "cyto": {"cytoplasm": (32, 0.4), "membrane": (24, 0.25), "spindly": (24, 0.1)},
}
REAL: dict[str, list[Entry]] = {  # "weight" is the part of the crops; what is absent leaves its part to the others
    "nuclei": [
        {"folder": "nuclei2d_dsb2018/fluorescence", "weight": 0.34},
        {"folder": "nuclei2d_dsb2018/histology", "weight": 0.06, "channels": ["grey"], "invertible": True},
        {
            "image": "organoid3d_38/image.tif",
            "labels": "labels.tif",
            "channels": [0],
            "anisotropy": 2.0,
            "weight": 0.05,
        },
        {
            "image": "organoid3d_38_round2/image.tif",
            "labels": "labels.tif",
            "channels": [0],
            "anisotropy": 2.0,
            "weight": 0.05,
        },
    ],
    "cyto": [
        {"folder": "cells2d_phase_usiigaci", "weight": 0.13, "invertible": True},
        # labels are bad from plane 28 on
        {
            "image": "membrane3d_root/image.tif",
            "labels": "labels.tif",
            "weight": 0.07,
            "boxes": [[0, 28, 0, 200, 0, 200]],
        },
        {
            "image": "organoid3d_38/image.tif",
            "labels": "cells.tif",
            "channels": [1, 0],
            "anisotropy": 2.0,
            "weight": 0.05,
        },
    ],
}
HELD = 20
"""Every so manieth image of a folder is looked at and not learned from, and so many synthetic images are."""
STEPS, BATCH, CROP = {"nuclei": 8_500, "cyto": 12_000}, 8, 112
RESCALE = {"nuclei": 0.5, "cyto": 0.0}
"""How often a crop is much darker or brighter in all: nuclei lie beside far brighter ones, or alone."""


def synthetic(kind: str, count: int, part: float, out: Path) -> Iterator[tuple[bool, Entry]]:
    """`count` random images of `kind` and one for validation, as OME-Zarr below `out`: (is for validation, entry)."""
    out.mkdir(parents=True, exist_ok=True)
    for seed in range(count + 1):
        store = out / f"{kind}-{seed:03d}.zarr"
        if not store.exists():
            made = random_sample(kind, seed)
            write_image(store, made.volume, levels=1)
            write_labels(store, made.labels, name="cells")
        entry: Entry = {"image": str(store.absolute()), "labels": "cells", "invertible": kind == "spindly"}
        yield seed == count, entry | {"weight": part / count}


def real(entry: Entry, data: Path, out: Path) -> Iterator[tuple[bool, Entry]]:
    """A real set, if it is there: (is for validation, entry). Its files are linked below `out`, by names that tell them
    apart; a folder is parted in two."""
    if "image" in entry:
        image = data / str(entry["image"])
        if image.exists():
            files = {"image": image, "labels": image.with_name(str(entry["labels"]))}
            links = {key: out / f"{file.parent.name}-{file.name}" for key, file in files.items()}
            for key, link in links.items():
                _link(link, files[key])
            yield False, entry | {key: str(link.absolute()) for key, link in links.items()}
        return
    images = sorted((data / str(entry["folder"])).glob("*_image.png"))
    name = str(entry["folder"]).replace("/", "-")
    parts = {held: out / f"{name}-{'validation' if held else 'train'}" for held in (False, True)}
    for place, image in enumerate(images):
        for file in (image, image.with_name(image.name.replace("_image", "_labels"))):
            _link(parts[place % HELD == HELD - 1] / file.name, file)
    for held, folder in parts.items():
        if folder.exists():
            yield held, entry | {"folder": str(folder.absolute())}


def _link(link: Path, file: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(file.absolute())


def prepare(model: str, data: Path | None, out: Path) -> Path:
    """Everything that `model` learns from, below `out`: the file that names it all."""
    found = [
        e for kind, (count, part) in SYNTHETIC[model].items() for e in synthetic(kind, count, part, out / "synthetic")
    ]
    if data is not None:
        found += [e for entry in REAL[model] for e in real(entry, data, out / "real")]
    file = out / "data.toml"
    file.write_text("\n".join(_table("validation" if held else "train", entry) for held, entry in found))
    return file


def _table(name: str, entry: Entry) -> str:
    """An entry as TOML: texts, numbers, lists and truths look there as they do in JSON."""
    return f"[[{name}]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=sorted(SYNTHETIC))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, help="instead of those of the recipe")
    parser.add_argument("--prepare", action="store_true", help="make the data and stop")
    given = parser.parse_args()
    file = prepare(given.model, given.data, given.out)
    if given.prepare:
        print(file)
        return
    torch.set_num_threads(1)

    def tell(event: Event) -> None:
        print(event, flush=True)

    bigcell.train(
        file,
        given.out / "model",
        steps=given.steps or STEPS[given.model],
        batch=BATCH,
        crop=CROP,
        augmentation={"rescale": RESCALE[given.model]},
        precision="bfloat16",
        validate_every=2000,
        save_every=500,
        licence="BSD-3-Clause",
        listener=tell,
    )


if __name__ == "__main__":
    main()
