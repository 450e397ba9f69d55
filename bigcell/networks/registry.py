"""Models by name or by path: what a run needs to know of a network, ready to be called."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

import torch
from torch import nn

from bigcell.core.errors import ModelError
from bigcell.networks.checkpoint import read_checkpoint
from bigcell.networks.recognise import build_network

BUNDLED = {"default": "default.pt"}


# Cellpose 1 and 2 name what they train cellpose_residual_on_style_off_concatenation_off_...; the weights do not tell.
_STYLE_OFF = re.compile(r"residual_(on|off)_style_off_")


@dataclass(frozen=True)
class Model:
    """A network in eval mode, float32, channels last, on the CPU.

    Called with float32 ``(n, channels, h, w)`` it gives ``(n, 3, h, w)``: the flow along h and along w, both 5 times a
    unit vector, and the logit of being inside a cell. `h` and `w` are multiples of `stride`, or both `tile` where that
    is not None. It knows cells of `diameter` pixels: images are scaled to that. Channel 0 is what to segment, channel 1
    nuclei, or 0 where there are none; Cellpose-SAM takes up to three in any order. `kind`: "CPnet" (Cellpose 1 to 3) or
    "Cellpose-SAM" (Cellpose 4).
    """

    name: str
    network: nn.Module = field(repr=False)
    diameter: float
    channels: int
    sha256: str
    stride: int = 8
    kind: str = "CPnet"
    tile: int | None = None


def load_model(name_or_path: str | Path) -> Model:
    """The bundled model of that name ("default"), or the checkpoint at that path. ModelError where there is neither."""
    with _weights(name_or_path) as path:
        style_on = _STYLE_OFF.search(path.name) is None
        try:
            network = build_network(read_checkpoint(path), style_on=style_on)
        except ModelError as error:
            raise ModelError(_naming(path, error)) from error
        sha256 = _sha256(path)
    if network.nout != 3:
        raise ModelError(f"{name_or_path}: this network has {network.nout} outputs; wanted 3: flow, flow, logit")
    ready = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    name = str(name_or_path) if name_or_path in BUNDLED else Path(name_or_path).name
    diameter = float(network.diam_mean)
    return Model(name, ready, diameter, network.channels, sha256, network.stride, network.kind, network.tile)


def _naming(path: Path, error: ModelError) -> str:
    """The error, with the file in it."""
    return str(error) if str(path) in str(error) else f"{path}: {error}"


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
