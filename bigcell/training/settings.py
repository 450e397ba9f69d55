"""How a network is trained: every choice that decides its weights, and when it is looked at and saved."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, cos, inf, isfinite, pi
from typing import Literal, get_args

from bigcell.core.errors import SettingsError
from bigcell.flows.settings import Choice
from bigcell.training.crops.augment import Augmentation

Optimizer = Literal["adamw", "sgd"]
Decay = Literal["cosine", "cellpose"]


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a training; where Cellpose has a word for one, it is that.

    **How long.** `epochs` of `epoch` crops each (Cellpose's epoch is as many crops as there are images), in batches of
    `batch`; or `steps` batches, which then counts. `patience`: end after so many validations in a row without a better
    average precision (0: never).

    **How.** `optimizer` with `rate`, `weight_decay` and, for SGD, `momentum`. `decay` "cosine": the rate rises over the
    part `warmup` of the training and falls to nothing; "cellpose": it rises over ten epochs, stays, and is halved ten
    times at the end, as there. `clip`: the longest gradient (0: any). `average`: the part of the running average of the
    weights that stays from one step to the next (0: no average). `precision` of the arithmetic; weights are float32
    always. `freeze_norm`: batch norm keeps the statistics that it came with. `seed` decides the first weights and every
    crop; with `deterministic` torch takes only algorithms that give the same bits each time.

    **What.** From scratch a CPnet of `channels` (None: 2) and `width` features in its levels (None: 16, 32, 64, 128;
    Cellpose has 32, 64, 128, 256), for cells of `diameter` pixels (None: 17; Cellpose has 30). A checkpoint brings its
    own. `crop`: side of the crops in pixels (None: about seven and a half diameters, or the network's only tile).
    `augmentation`: how crops vary; its `crop` and `diameter` are set from those here. `augment_on_device`: light, blur
    and noise are made of whole batches by the device that trains, not of each crop by those who prepare it.

    **When.** `validate_every` and `save_every` so many steps (None: every epoch).

    >>> TrainingSettings(epochs=10, epoch=20, batch=8).total
    25
    """

    epochs: int = 100
    steps: int | None = None
    epoch: int = 800
    batch: int = 8
    optimizer: Optimizer = "adamw"
    rate: float = 2e-3
    weight_decay: float = 1e-4
    momentum: float = 0.9
    warmup: float = 0.03
    decay: Decay = "cosine"
    clip: float = 5.0
    average: float = 0.995
    precision: Choice = "auto"
    freeze_norm: bool = False
    seed: int = 0
    deterministic: bool = False
    channels: int | None = None
    width: tuple[int, ...] | None = None
    diameter: float | None = None
    crop: int | None = None
    augment_on_device: bool = False
    patience: int = 0
    validate_every: int | None = None
    save_every: int | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name in ("epochs", "epoch", "batch"):
            _check(name, getattr(self, name), 1, "a whole number from 1")
        for name in ("steps", "validate_every", "save_every", "channels"):
            _check(name, getattr(self, name), 1, "a whole number from 1, or nothing")
        for name in ("patience", "seed"):
            _check(name, getattr(self, name), 0, "a whole number from 0")
        for name, choices in (("optimizer", Optimizer), ("decay", Decay), ("precision", Choice)):
            if getattr(self, name) not in get_args(choices):
                raise SettingsError(f"{name} {getattr(self, name)!r}: wanted {' or '.join(get_args(choices))}")
        self._check_rates()
        self._check_network()

    def _check_rates(self) -> None:
        if not (isfinite(self.rate) and self.rate > 0):
            raise SettingsError(f"rate {self.rate}: wanted a positive number, as in 0.002")
        for name, below in (("warmup", 1.0), ("momentum", 1.0), ("average", 1.0), ("weight_decay", inf), ("clip", inf)):
            if not 0 <= getattr(self, name) < below:
                upper = f" to below {below:g}" if below < inf else ""
                raise SettingsError(f"{name} {getattr(self, name)}: wanted a number from 0{upper}")

    def _check_network(self) -> None:
        if self.width is not None and not (2 <= len(self.width) <= 7 and all(1 <= w <= 4096 for w in self.width)):
            raise SettingsError(f"width {self.width}: wanted the features of 2 to 7 levels, as in 16, 32, 64, 128")
        if self.diameter is not None and not 5 <= self.diameter <= 200:
            raise SettingsError(f"diameter {self.diameter}: wanted 5 to 200 pixels")
        if self.crop is not None and (self.crop < 32 or self.crop % 16):
            raise SettingsError(f"crop {self.crop}: wanted a multiple of 16 pixels, from 32")

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch."""
        return ceil(self.epoch / self.batch)

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return self.steps if self.steps is not None else ceil(self.epochs * self.epoch / self.batch)

    def rate_at(self, step: int) -> float:
        """The learning rate of `step`, counted from 0.

        >>> [round(TrainingSettings(steps=100, rate=1, warmup=0.1).rate_at(s), 3) for s in (0, 9, 10, 55, 99)]
        [0.1, 1.0, 1.0, 0.5, 0.0]
        """
        if self.decay == "cellpose":
            return self.rate * _cellpose(step // self.epoch_steps, ceil(self.total / self.epoch_steps))
        rise = self.warmup * self.total
        if step < rise:
            return self.rate * min(1.0, (step + 1) / rise)
        return self.rate * 0.5 * (1 + cos(pi * (step - rise) / (self.total - rise)))


def _cellpose(epoch: int, epochs: int) -> float:
    """The part of the rate in `epoch`, as in Cellpose 1 to 4; but the first epoch learns, where there it has a rate of
    0."""
    last, each = (100, 10) if epochs > 300 else (50, 5) if epochs > 100 else (0, 1)
    part = min(1.0, (epoch + 1) / 10)
    return float(part * 0.5 ** max(0, (epoch - (epochs - last)) // each + 1)) if last else part


def _check(name: str, value: object, least: int, wanted: str) -> None:
    if value is None and "nothing" in wanted:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SettingsError(f"{name} {value!r}: wanted {wanted}")
