"""What a training leaves: the model as safetensors, its card, and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from bigcell.io.atomic import write_text
from bigcell.networks.cache import sha256_of
from bigcell.training.crops.source import Source
from bigcell.training.loop.state import Row, State, save_tensors
from bigcell.training.loop.validate import Scores, runner_of, validate
from bigcell.training.output.card import KEY, card_of, card_text
from bigcell.training.output.page import example_pictures, training_page
from bigcell.training.settings import TrainingSettings

MODEL, CARD, PAGE = "model.safetensors", "model.md", "training.html"


@dataclass(frozen=True)
class Trained:
    """The `model` file of a training of `steps`, whose weights are those of `best_step`, and their `scores` on the
    validation planes (None without any). Its card and its page lie beside it."""

    model: Path
    steps: int
    best_step: int
    scores: Scores | None = None
    history: tuple[Row, ...] = field(default=(), repr=False)


def write_result(
    out: Path,
    state: State,
    weights: Mapping[str, Tensor],
    settings: TrainingSettings,
    validation: Sequence[Source],
    device: torch.device,
) -> Trained:
    """Write model, card and page into `out`; the model last, so that a folder that has one is whole."""
    runner = runner_of(weights, device)
    scores = validate(runner, validation) if validation else None
    pictures = example_pictures(runner, validation, scores) if scores is not None else ()
    card = card_of(state, runner.network, weights, settings, scores)
    write_text(out / PAGE, training_page(card, state.history, pictures))
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    model = save_tensors(out / MODEL, tensors, {KEY: json.dumps(card, allow_nan=False)})
    write_text(out / CARD, card_text(card, sha256_of(model)))
    return Trained(model, state.step, state.best_step or state.step, scores, tuple(state.history))
