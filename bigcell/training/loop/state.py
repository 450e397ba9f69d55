"""Where a training is, on disk: one file, replaced whole, from which it goes on as if it had never stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bigcell.core.documents import parse_object
from bigcell.core.errors import InputError
from bigcell.core.settings import from_document
from bigcell.io.atomic import whole_file

FORMAT = 1
CHECKPOINT = "checkpoint.safetensors"
_KEY = "bigcell-training"


@dataclass(frozen=True)
class Row:
    """What is known at a `step`: the rate, the mean `loss` of the batches since the row before, and, where it was
    validated, the loss and the scores on whole planes. `seconds`: of training, so far."""

    step: int
    epoch: float
    rate: float
    loss: float
    seconds: float
    validation_loss: float | None = None
    ap50: float | None = None
    ap: float | None = None
    f1: float | None = None


@dataclass
class State:
    """How far a training is. `known`: what it was begun with, which may not change. `about`: what whoever began it
    wants back. `best_step`: where the weights in `best` are from; `stale`: validations since then."""

    known: dict[str, Any]
    about: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    history: list[Row] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_count: int = 0
    seconds: float = 0.0
    best_step: int | None = None
    best_score: float | None = None
    stale: int = 0
    ended: str = ""
    best: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def told(self) -> dict[str, Any]:
        """All but the tensors, as plain values."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("best", "history")}
        return {"format": FORMAT, **plain, "history": [asdict(row) for row in self.history]}


def save_state(folder: Path, state: State, tensors: Mapping[str, Tensor]) -> Path:
    """Put `state`, and the `tensors` of the learner, in place of what `folder` held: whole, or not at all."""
    everything = {**tensors, **{f"best/{name}": v.cpu().contiguous() for name, v in state.best.items()}}
    return save_tensors(folder / CHECKPOINT, everything, {_KEY: json.dumps(state.told(), allow_nan=False)})


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> Path:
    """A safetensors file that has its name only once it is whole and on the disk."""
    with whole_file(path, SafetensorError) as fresh:
        save_file(dict(tensors), fresh, metadata)
    return path


def load_state(folder: Path) -> tuple[State, dict[str, Tensor]]:
    """The state that `folder` holds, and the tensors of the learner. InputError where there is none, or none whole."""
    path = folder / CHECKPOINT
    if not path.is_file():
        raise InputError(f"{folder} holds no {CHECKPOINT}: no training was begun there, or none was saved yet")
    try:
        with safe_open(path, framework="pt") as file:
            told = parse_object((file.metadata() or {})[_KEY], str(path))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is not a mapping)
        best = {name.removeprefix("best/"): tensors.pop(name) for name in list(tensors) if name.startswith("best/")}
        return _revived(told, best), tensors
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a training's checkpoint of format {FORMAT} ({error})") from error


def _revived(told: dict[str, Any], best: dict[str, Tensor]) -> State:
    if told.pop("format") != FORMAT:
        raise ValueError("it was written by another version of bigcell")
    rows = [from_document(Row, row) for row in told.pop("history")]
    state: State = from_document(State, told)
    state.history, state.best = rows, best
    return state
