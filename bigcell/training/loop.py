"""Fit a network: AdamW, warm-up and cosine, bfloat16 where asked, and a running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bigcell.core.errors import SettingsError
from bigcell.flows.settings import Precision
from bigcell.training.data import Batch
from bigcell.training.optimise import average_into, descend, loss_of, snapshot

CLIP = 5.0
"""The longest gradient."""


@dataclass(frozen=True)
class Schedule:
    """`steps` of at most `rate`, reached after `warmup` (a part of the whole) and falling as a cosine to nothing.
    `average` is the part of the running average of the weights that stays from one step to the next."""

    steps: int
    rate: float = 2e-3
    warmup: float = 0.03
    weight_decay: float = 1e-4
    average: float = 0.995
    bfloat16: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1 or self.rate <= 0 or not 0 <= self.warmup < 1 or not 0 <= self.average < 1:
            raise SettingsError(f"{self}: wanted steps from 1, a positive rate, warmup and average from 0 to below 1")

    def rate_at(self, progress: float) -> float:
        """The learning rate when `progress`, 0 to 1, of the training is behind us."""
        if progress < self.warmup:
            return self.rate * (progress + 1e-3) / (self.warmup + 1e-3)
        return self.rate * 0.5 * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup)))


@dataclass(frozen=True)
class Progress:
    """After a step: how many are done, its loss, and the averaged weights so far (shared: copy what you keep)."""

    step: int
    loss: float
    rate: float
    weights: dict[str, Tensor]


def fit(
    network: nn.Module,
    batches: Iterable[Batch],
    schedule: Schedule,
    *,
    behind: Callable[[int], float] | None = None,
) -> Iterator[Progress]:
    """Train `network` in place, one step for each item of the iterator that is returned.

    `behind(step)` is the part of the training that is done, 0 to 1, if steps are not what limits it (but a clock, say);
    training ends when it reaches 1, or with the batches.
    """
    behind = behind or (lambda step: step / schedule.steps)
    network.train()
    learned = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=schedule.rate, weight_decay=schedule.weight_decay)
    average = snapshot(network)
    precision: Precision = "bfloat16" if schedule.bfloat16 else "float32"
    for step, batch in enumerate(batches):
        done = behind(step)
        if done >= 1:
            return
        rate = schedule.rate_at(done)
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = loss_of(network, torch.from_numpy(batch.image), batch, precision)
        descend(network, optimiser, loss, CLIP)
        average_into(average, network, min(schedule.average, (step + 1) / (step + 10)))
        yield Progress(step + 1, float(loss.detach()), rate, average)
