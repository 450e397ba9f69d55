"""The card of a trained model: what it learned from, how, how good it is, on what terms, and how to make it again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from torch import Tensor

from bigcell.networks.recognise import Network
from bigcell.provenance.record import versions
from bigcell.training.loop.state import State
from bigcell.training.loop.validate import Scores
from bigcell.training.settings import TrainingSettings

FORMAT = 1
KEY = "bigcell"
"""Where the card stands in the metadata of the safetensors file, as JSON."""
KEPT = " (validation)"
_SHOWN = (
    *("epoch", "batch", "optimizer", "rate", "weight_decay", "warmup", "decay", "clip", "average", "freeze_norm"),
    *("seed", "deterministic", "crop", "patience"),
)


def card_of(
    state: State, network: Network, weights: Mapping[str, Tensor], settings: TrainingSettings, scores: Scores | None
) -> dict[str, Any]:
    """The facts of the card, as plain values."""
    return {
        "format": FORMAT,
        "network": _network(network, weights),
        "licence": str(state.about.get("licence") or "not stated"),
        "steps": state.step,
        "best_step": state.best_step or state.step,
        "scores": None if scores is None else {k: v for k, v in asdict(scores).items() if k != "each"},
        "start": state.known["start"],
        "train": [{**row, "name": short_name(row["name"])} for row in state.known["train"].values()],
        "added": state.about.get("added"),
        "validation": [short_name(name) for name in state.known["validation"]],
        "settings": state.known["settings"],
        "precision": state.known["precision"],
        "command": str(state.about.get("command") or ""),
        "seconds": round(state.seconds, 1),
        "versions": versions(),
    }


def _network(network: Network, weights: Mapping[str, Tensor]) -> dict[str, Any]:
    return {
        "kind": network.kind,
        "channels": network.channels,
        "width": list(getattr(network, "nbase", ())[1:]),
        "weights": sum(value.numel() for value in weights.values()),
        "diameter": float(network.diam_mean),
        "diameter_of_the_training_cells": round(float(network.diam_labels), 2),
    }


def card_text(card: Mapping[str, Any], sha256: str) -> str:
    """``model.md``: the facts for people, in Markdown. Texts from outside stand in code spans."""
    net = card["network"]
    width = f" of {', '.join(map(str, net['width']))} features" if net["width"] else ""
    parts = [
        "# Model card\n",
        f"{net['kind']}{width}, {net['channels']} channels, {net['weights'] / 1e6:.2f} million numbers; "
        f"SHA-256 `{sha256}`.\n",
        f"* Cells of **{net['diameter']:g} pixels**: images are scaled to that. The training cells had "
        f"{net['diameter_of_the_training_cells']:g} pixels on average.",
        f"* Licence: {_code(card['licence'])}",
        f"* Began with {_code(card['start']['from'])}; {card['steps']} steps in {card['seconds'] / 60:.1f} min, the "
        f"weights kept are the running average of step {card['best_step']}.",
        "\n## Scores\n",
        _scores(card["scores"]),
        "\n## Learned from\n",
        *(_row(list(rows)) for _, rows in groupby(card["train"], _family)),
        *([f"\nCorrections were added: {_code(card['added'])}."] if card["added"] else []),
        "\n## Settings\n",
        "\n".join(f"* {name}: `{card['settings'][name]}`" for name in _SHOWN),
        f"* arithmetic: `{card['precision']}`",
        "* augmentation: " + ", ".join(f"{k} `{v}`" for k, v in card["settings"]["augmentation"].items()),
        "\n## To make it again\n",
        f"{_code(card['command'] or 'bigcell.training.trainer.run_training')} with seed `{card['settings']['seed']}`, "
        "on data with the fingerprints above. " + ", ".join(f"{k} {v}" for k, v in card["versions"].items()) + ".",
    ]
    return "\n".join(parts) + "\n"


def _scores(scores: Mapping[str, Any] | None) -> str:
    if scores is None:
        return "There were no validation data: how good it is was not measured."
    return (
        f"Means over {scores['planes']} validation planes that it did not learn from, at the diameter of their cells: "
        f"average precision {scores['ap50']:.3f} at IoU 0.5 and {scores['ap']:.3f} over 0.5 to 0.95, F1 "
        f"{scores['f1']:.3f} at 0.5, loss {scores['loss']:.4f}."
    )


def _family(row: Mapping[str, Any]) -> tuple[str, int]:
    """What neighbours share that are told in one line: the name but for its numbers, and how many images each is."""
    return re.sub(r"\d+", "0", row["name"]), row["images"]


def _row(rows: Sequence[Mapping[str, Any]]) -> str:
    """The line of neighbours of one family. The fingerprint of several is that of theirs, one after the other."""
    probes = [row["probe"] for row in rows if row["probe"]]
    probe = probes[0] if len(probes) == 1 else hashlib.sha256("".join(probes).encode()).hexdigest()[:16]
    images, share = sum(row["images"] for row in rows), 100 * sum(row["share"] for row in rows)
    names = " to ".join(_code(row["name"]) for row in (rows[0], *rows[1:][-1:]))
    told = f"* {names}: {images} image{'s' * (images != 1)}, {share:.1f} parts in 100 of the crops"
    return told + (f", fingerprint `{probe}`" if probes else "")


def short_name(name: str) -> str:
    """The last part of a path: the folders above it are nobody's business.

    >>> short_name("/home/someone/cells"), short_name("cells/ (validation)")
    ('cells', 'cells (validation)')
    """
    path = name.removesuffix(KEPT)
    return path.rstrip("/").rpartition("/")[2] + name[len(path) :]


def _code(text: object) -> str:
    """`text` in a code span of one line, whatever it holds."""
    return f"`{' '.join(str(text).replace('`', chr(39)).split())}`"
