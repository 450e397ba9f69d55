"""One step of learning: loss, gradient, optimiser, and the running average of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

import torch
from torch import Tensor, nn

from bigcell.flows.settings import Precision
from bigcell.training.crops.augment_batch import seen_images
from bigcell.training.loop.losses import flow_loss
from bigcell.training.loop.ranks import ALONE, Ranks
from bigcell.training.settings import TrainingSettings
from bigcell.training.stacks.labelled_planes import Batch


@dataclass
class Learner:
    """A `network` that learns in place, on its device. `call` is what is called instead of it (to average gradients
    over processes). `average`: the running average of its state."""

    network: nn.Module
    settings: TrainingSettings
    precision: Precision = "float32"
    call: nn.Module | None = None
    optimiser: torch.optim.Optimizer = field(init=False)
    average: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.optimiser = make_optimiser(self.network, self.settings)
        self.average = snapshot(self.network)
        set_learning(self.network, freeze_norm=self.settings.freeze_norm)

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def learn(self, batch: Batch, step: int, ranks: Ranks = ALONE) -> float:
        """Take `step` (counted from 0) down the gradient of `batch`; the loss before it, the mean of all `ranks`.

        A loss that is not finite is returned, and nothing is changed.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate_at(step)
        loss = self.loss(batch)
        value = ranks.mean(float(loss.detach()))
        if not isfinite(value):
            return value
        descend(self.network, self.optimiser, loss, self.settings.clip)
        ranks.agree_on_norms(self.network)  # before the average: all must have the same
        average_into(self.average, self.network, min(self.settings.average, (step + 1) / (step + 10)))
        return value

    def loss(self, batch: Batch) -> Tensor:
        """The loss of `batch`, with all that its gradient needs."""
        images = seen_images(batch, self.settings.augmentation, self.device)
        return loss_of(self.call or self.network, images, batch, self.precision)

    def tensors(self) -> dict[str, Tensor]:
        """All that the next step depends on, but for its number: by name, on the CPU."""
        found = {f"weights/{name}": value for name, value in self.network.state_dict().items()}
        found |= {f"average/{name}": value for name, value in self.average.items()}
        for place, values in self.optimiser.state_dict()["state"].items():
            found |= {f"optimiser/{place}/{name}": v for name, v in values.items() if isinstance(v, Tensor)}
        return {name: value.detach().cpu().contiguous() for name, value in found.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors` gave."""
        weights, average = under("weights", tensors), under("average", tensors)
        self.network.load_state_dict(weights)
        self.average = {name: average[name].to(self.device).clone() for name in self.network.state_dict()}
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in under("optimiser", tensors).items():
            place, _, key = name.partition("/")
            state.setdefault(int(place), {})[key] = value.clone()
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})


def under(folder: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of `tensors` whose name begins with `folder`, without it."""
    return {name.partition("/")[2]: value for name, value in tensors.items() if name.startswith(f"{folder}/")}


def make_optimiser(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimiser of all weights that learn."""
    learned = [p for p in network.parameters() if p.requires_grad]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            learned, lr=settings.rate, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
    return torch.optim.AdamW(learned, lr=settings.rate, weight_decay=settings.weight_decay)


def set_learning(network: nn.Module, *, freeze_norm: bool) -> None:
    """Training mode; but batch norm as it is in use, if frozen."""
    network.train()
    for part in network.modules():
        if freeze_norm and isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()


def loss_of(network: nn.Module, images: Tensor, batch: Batch, precision: Precision) -> Tensor:
    """The loss of what `network` answers to `images`, those of `batch`, on the device where they both are."""
    device = images.device
    x = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        output = network(x)
    known = None if batch.known is None else torch.from_numpy(batch.known).to(device)
    flows, inside = (torch.from_numpy(part).to(device) for part in (batch.flows, batch.inside))
    return flow_loss(output.float(), flows, inside, known)


def descend(network: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, clip: float) -> None:
    """One step down the gradient of `loss`, which is shortened to `clip` (0: as it is)."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if clip:
        nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimiser.step()


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the state of `network`."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


@torch.no_grad()
def average_into(average: dict[str, Tensor], network: nn.Module, keep: float) -> None:
    """Move `average` towards the network as it is now. Counters are taken over as they are."""
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - keep)
        else:
            average[name].copy_(value)
