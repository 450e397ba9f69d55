"""Models by name or by path: what a run needs to know of a network, ready to be called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

import torch
from torch import nn

from bigcell.core.errors import ModelError
from bigcell.networks.checkpoint import build_cpnet, read_checkpoint

BUNDLED = {"default": "default.pt"}


@dataclass(frozen=True)
class Model:
    """A network in eval mode, float32, channels last, on the CPU.

    Called with float32 ``(n, channels, h, w)``, `h` and `w` multiples of `stride`, it gives ``(n, 3, h, w)``: the flow
    along h and along w, both 5 times a unit vector, and the logit of being inside a cell. It knows cells of `diameter`
    pixels: images are scaled to that. Channel 0 is what to segment, channel 1 nuclei, or 0 where there are none.
    """

    name: str
    network: nn.Module = field(repr=False)
    diameter: float
    channels: int
    sha256: str
    stride: int = 8


def load_model(name_or_path: str | Path) -> Model:
    """The bundled model of that name ("default"), or the checkpoint at that path. ModelError where there is neither."""
    with _weights(name_or_path) as path:
        network = build_cpnet(read_checkpoint(path))
        sha256 = _sha256(path)
    if network.nout != 3:
        raise ModelError(f"{name_or_path}: this network has {network.nout} outputs; wanted 3: flow, flow, logit")
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    ready = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    name = str(name_or_path) if name_or_path in BUNDLED else Path(name_or_path).name
    return Model(name, ready, float(network.diam_mean), network.nbase[0], sha256, network.stride)


def model_sha256(name_or_path: str | Path) -> str:
    """SHA-256 of the model's file, in hexadecimal: what a run writes down to say which weights it used."""
    with _weights(name_or_path) as path:
        return _sha256(path)


@contextmanager
def _weights(name_or_path: str | Path) -> Iterator[Path]:
    """The file of a model. A bundled name wins over a file of that name: write ``./default`` for the latter."""
    if str(name_or_path) in BUNDLED:
        with as_file(files("bigcell.networks") / "weights" / BUNDLED[str(name_or_path)]) as path:
            yield path
        return
    if not Path(name_or_path).is_file():
        raise ModelError(
            f"{str(name_or_path)!r} is neither a model that comes with bigcell ({', '.join(BUNDLED)}) nor a file; give "
            "one of those names, or the path of a checkpoint"
        )
    yield Path(name_or_path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
