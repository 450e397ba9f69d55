"""Take a model that scripts/train_models.py made into the package: weights, card and log.

    python scripts/ship_model.py OUT/model nuclei [--to bigcell/networks/weights]

The weights stay as they are. The card says how to make them from the repository, not where they lay when they were
made.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from safetensors import safe_open

from bigcell.networks.cache import sha256_of
from bigcell.training.loop.state import save_tensors
from bigcell.training.output.card import KEY, card_text
from bigcell.training.output.history import METRICS
from bigcell.training.output.result import MODEL

WEIGHTS = Path(__file__).parents[1] / "bigcell" / "networks" / "weights"


def ship(made: Path, name: str, to: Path) -> Path:
    """The model of the folder `made` as ``NAME.safetensors`` in `to`, with ``NAME.md`` and ``NAME.csv``."""
    with safe_open(made / MODEL, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is not a mapping)
        card = json.loads(file.metadata()[KEY])
    card["command"] = f"python scripts/train_models.py {name} --data FOLDER --out OUT"
    model = save_tensors(to / f"{name}.safetensors", tensors, {KEY: json.dumps(card, allow_nan=False)})
    model.with_suffix(".md").write_text(card_text(card, sha256_of(model)))
    shutil.copyfile(made / METRICS, model.with_suffix(".csv"))
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("made", type=Path)
    parser.add_argument("name")
    parser.add_argument("--to", type=Path, default=WEIGHTS)
    given = parser.parse_args()
    print(ship(given.made, given.name, given.to))
