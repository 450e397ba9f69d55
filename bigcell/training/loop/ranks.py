"""Several processes that train one network together, each on its part of every batch (torchrun starts them)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from bigcell.core.errors import SettingsError
from bigcell.flows.runner import choose_device

_PATIENCE = timedelta(hours=4)
"""How long processes wait for the one that validates and writes."""


@dataclass(frozen=True)
class Ranks:
    """This process is number `rank` of `count`, and computes on `device`. Only the `first` looks and writes."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        return self.rank == 0

    def check_batch(self, batch: int) -> None:
        """SettingsError unless a batch can be shared out in equal parts: only then is the mean of means the mean."""
        if batch % self.count:
            raise SettingsError(f"a batch of {batch} cannot be shared by {self.count} processes: give a multiple")

    def share(self, network: nn.Module) -> nn.Module:
        """`network` so that its gradients become the mean over all processes. On CUDA batch norm sees whole batches."""
        if self.count == 1:
            return network
        if self.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        places = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=places, broadcast_buffers=False)

    def agree_on_norms(self, network: nn.Module) -> None:
        """Give the statistics that batch norm has gathered their mean over all processes."""
        if self.count == 1:
            return
        kept = [value for value in network.buffers() if value.is_floating_point()]
        if kept:
            self._mean_into(kept)

    def mean(self, value: float) -> float:
        """The mean of all processes' `value`; where one is not finite, neither is it."""
        if self.count == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return float(total) / self.count

    def told(self, value: bool) -> bool:
        """What the first process says."""
        if self.count == 1:
            return value
        said = torch.tensor([int(value)], device=self.device)
        dist.broadcast(said, 0)
        return bool(said)

    def _mean_into(self, tensors: list[Tensor]) -> None:
        flat = torch.cat([value.detach().reshape(-1) for value in tensors])
        dist.all_reduce(flat)
        flat /= self.count
        for value, part in zip(tensors, torch.split(flat, [v.numel() for v in tensors]), strict=True):
            with torch.no_grad():
                value.copy_(part.view_as(value))


ALONE = Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """The processes that torchrun started together with this one; alone without torchrun.

    They meet once: within another `joined`, or where the caller has met the others, that meeting serves.
    """
    count, local = (int(os.environ.get(name, first)) for name, first in (("WORLD_SIZE", "1"), ("LOCAL_RANK", "0")))
    device = choose_device()
    if count == 1:
        yield Ranks(device=device)
        return
    cuda = device.type == "cuda"
    if cuda:
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        device = torch.device("cpu")
    met = dist.is_initialized()
    if not met:
        dist.init_process_group("nccl" if cuda else "gloo", timeout=_PATIENCE)
    try:
        yield Ranks(dist.get_rank(), count, device)
    finally:
        if not met:
            dist.destroy_process_group()
