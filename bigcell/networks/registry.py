"""Models by name or by path: what a run needs to know of a network, ready to be called."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from bigcell.core.errors import ModelError
from bigcell.networks.cache import check_sha256, locate, missing, sha256_of
from bigcell.networks.catalogue import diameter_of_file
from bigcell.networks.checkpoint import read_checkpoint
from bigcell.networks.recognise import build_network
from bigcell.networks.size import SizeModel, read_size_model
from bigcell.networks.source import BUNDLED, find_model

# Cellpose 1 and 2 name what they train cellpose_residual_on_style_off_concatenation_off_...; the weights do not tell.
_STYLE_OFF = re.compile(r"residual_(on|off)_style_off_")


@dataclass(frozen=True)
class Model:
    """A network in eval mode, float32, channels last, on the CPU.

    Called with float32 ``(n, channels, h, w)`` it gives ``(n, 3, h, w)``: the flow along h and along w, both 5 times a
    unit vector, and the logit of being inside a cell. `h` and `w` are multiples of `stride`, or both `tile` where that
    is not None; where it is `resizable` that is what it learned from, and all tiles of a run may have another side. It
    knows cells of `diameter` pixels: images are scaled to that. Channel 0 is what to segment, channel 1 nuclei, or 0
    where there are none; the networks of Cellpose 4 take up to three in any order. `kind`: "CPnet" (Cellpose 1 to 3),
    "Cellpose-SAM" (Cellpose 4) or "Cellpose-DINO" (Cellpose 4.2).
    """

    name: str
    network: nn.Module = field(repr=False)
    diameter: float
    channels: int
    sha256: str
    stride: int = 8
    kind: str = "CPnet"
    tile: int | None = None
    resizable: bool = True


def load_model(name_or_path: str | Path) -> Model:
    """The model of that name, ready to be called; nothing is downloaded.

    A bundled model ("nuclei", "cyto"), else the checkpoint at that path, else a published model that
    `bigcell models fetch` has brought. ModelError where there is none, or where it is not what was published or first
    fetched.
    """
    source = find_model(name_or_path)
    with source.file() as path:
        sha256 = source.checked_sha256(path)
        known = source.entry.diameter if source.entry else diameter_of_file(path.name)
        style_on = _STYLE_OFF.search(path.name) is None
        try:
            network = build_network(read_checkpoint(path), diameter=known, style_on=style_on)
        except ModelError as error:
            raise ModelError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    if network.nout != 3:
        raise ModelError(f"{name_or_path}: this network has {network.nout} outputs; wanted 3: flow, flow, logit")
    ready = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # As Cellpose 3 does, the diameter that is published with a CPnet wins over the one in its file.
    diameter = source.entry.diameter if source.entry and network.kind == "CPnet" else float(network.diam_mean)
    kinds = (network.stride, network.kind, network.tile, network.resizable)
    return Model(source.name, ready, diameter, network.channels, sha256, *kinds)


def load_size_model(name_or_path: str | Path) -> SizeModel | None:
    """The size model that belongs to a model, or None where it has none: ``PATH_size.npy``, or as published."""
    source = find_model(name_or_path)
    if source.entry is None:
        path = None if source.name in BUNDLED else Path(f"{name_or_path}_size.npy")
        return read_size_model(path) if path is not None and path.is_file() else None
    file = source.entry.size_model
    if file is None:
        return None
    place = locate(file)
    if place is None:
        raise missing(source.entry, file)
    check_sha256(file, place, sha256_of(place))
    return read_size_model(place)


def model_sha256(name_or_path: str | Path) -> str:
    """SHA-256 of the model's file, in hexadecimal: what a run writes down to say which weights it used."""
    source = find_model(name_or_path)
    with source.file() as path:
        return source.checked_sha256(path)
