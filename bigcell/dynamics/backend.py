"""Which of the ways to follow particles is taken here. All give the same integers, so this is a matter of speed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array
from bigcell.dynamics.follow import Particles, follow, follow_core

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Follower:
    """`follow` and `core` are called as those of `bigcell.dynamics.follow`. `name` says what they use."""

    name: str
    follow: Callable[..., tuple[Particles, Array]]
    core: Callable[..., tuple[Array, Particles]]


NUMBA = Follower("numba", follow, follow_core)


@lru_cache
def choose_follow(device: str = "auto") -> Follower:
    """The fastest way to follow particles on `device`: "cpu" takes numba, a CUDA device Triton or else torch.

    "auto": the CUDA device if there is one. A window that does not fit on the device is followed on the CPU, and said
    so; the result is the same.
    """
    if device == "auto":
        device = "cuda" if _cuda() else "cpu"
    if device == "cpu":
        return NUMBA
    if device.split(":")[0] not in ("cuda", "mps", "xpu"):
        raise SettingsError(f"device {device!r}: wanted auto, cpu, cuda, cuda:0, mps or xpu")
    from bigcell.dynamics.follow_torch import follow_core_torch, follow_torch

    name, how = "torch", dict[str, Any](device=device)
    if device.startswith("cuda") and find_spec("triton"):
        from bigcell.dynamics.follow_triton import move

        name, how = "triton", {"device": device, "mover": move}
    return Follower(
        name, _or_else(partial(follow_torch, **how), follow), _or_else(partial(follow_core_torch, **how), follow_core)
    )


def _cuda() -> bool:
    """Whether there is a CUDA device. Loading torch takes seconds, so a Linux without a driver is told by its files."""
    driver = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvhost-ctrl", "/dev/nvmap")
    if sys.platform == "linux" and "torch" not in sys.modules and not any(Path(d).exists() for d in driver):
        return False
    import torch

    return torch.cuda.is_available()


def _or_else(there: Callable[..., Any], here: Callable[..., Any]) -> Callable[..., Any]:
    """`there`, with the CPU for what is too large for the device."""

    def run(*args: Any, **keywords: Any) -> Any:
        import torch

        try:
            return there(*args, **keywords)
        except torch.OutOfMemoryError as error:
            _LOG.warning("no room on the GPU to follow this window (%s): it is followed on the CPU", error)
        torch.cuda.empty_cache()
        return here(*args, **keywords)

    return run
