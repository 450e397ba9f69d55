"""What a training begins with: a new network, or that of a checkpoint, ready to learn; and what data it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bigcell.core.errors import InputError, SettingsError
from bigcell.networks.cpnet import CPnet
from bigcell.networks.recognise import Network
from bigcell.networks.registry import load_model
from bigcell.training.crops.source import Source
from bigcell.training.settings import TrainingSettings

CHANNELS, WIDTH, DIAMETER = 2, (16, 32, 64, 128), 17.0
"""Of a network from scratch, where nothing else is said."""
CROP = 7.5
"""Diameters across a crop, about."""
PLANES = 16
"""Planes of each source whose cells are measured."""
FIXED = ("diam_mean", "diam_labels", "W2", "encoder.mask_token")
"""Weights that are no part of what is learned: the last two of transformers."""
PROBED = 64
"""Sources that are probed for their fingerprint, at most."""


def begin(settings: TrainingSettings, start: str | Path | None) -> tuple[Network, TrainingSettings, dict[str, Any]]:
    """The network, the settings with all that it decides filled in, and where it is from.

    `start`: a model by name or path, as `load_model` takes it; None: from scratch, a function of the settings alone.
    """
    origin: dict[str, Any] = {"from": "scratch"}
    network: Network
    if start is None:
        network = _new(settings)
    else:
        model = load_model(start)
        network = ready_to_learn(model.network)
        with torch.no_grad():
            network.diam_mean.fill_(model.diameter)
        origin = {"from": model.name, "sha256": model.sha256}
    return network, _settled(settings, network), origin


def _new(settings: TrainingSettings) -> CPnet:
    nbase = (settings.channels or CHANNELS, *(settings.width or WIDTH))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return CPnet(nbase, diam_mean=settings.diameter or DIAMETER)


def ready_to_learn(network: Any) -> Network:
    """A copy of a loaded `network` whose weights may change.

    One that ran without style gets style whose weights are zero: the same function, and it may learn to use it.
    """
    copy: Network = deepcopy(network)
    if isinstance(copy, CPnet) and not copy.style_on:
        with torch.no_grad():
            for part in copy.upsample.modules():
                if isinstance(part, nn.Linear):
                    part.weight.zero_()
        copy.style_on = True
    for name, weight in copy.named_parameters():
        weight.requires_grad_(name not in FIXED)
    return copy


def _settled(settings: TrainingSettings, network: Network) -> TrainingSettings:
    """The settings with what `network` is; SettingsError where they say otherwise."""
    width = network.nbase[1:] if isinstance(network, CPnet) else None
    channels, diameter = network.channels, float(network.diam_mean)
    for name, value in (("channels", channels), ("width", width), ("diameter", diameter)):
        asked = getattr(settings, name)
        if asked is not None and asked != value:
            raise SettingsError(
                f"{name} {asked}: the network to begin with has {value}, which stays; leave it out, or train from "
                "scratch"
            )
    tile, stride = network.tile, network.stride
    crop = settings.crop or tile or max(64, round(CROP * diameter / 16) * 16)
    if (not network.resizable and crop != tile) or crop % stride:
        taken = f"multiples of {stride}" if network.resizable else f"{tile} alone"
        raise SettingsError(f"crop {crop}: this network takes {taken}")
    augmentation = replace(settings.augmentation, crop=crop, diameter=diameter)
    if settings.augment_on_device:
        augmentation = replace(augmentation, intensity=False)
    if not isinstance(network, CPnet):  # those of Cellpose 4 take channels in any order, and are to go on doing so
        augmentation = replace(augmentation, shuffle=1.0)
    return replace(settings, channels=channels, width=width, diameter=diameter, crop=crop, augmentation=augmentation)


def typical_diameter(sources: Sequence[Source]) -> float:
    """The mean diameter of the cells of some planes of each source, in pixels of their images: ``diam_labels``."""
    found = [plane.diameter for source in sources for plane in islice(source.planes(), PLANES)]
    if not found:
        raise InputError("the training data hold no labelled plane; wanted at least one")
    return float(np.mean(found))


def described(sources: Sequence[Source], settings: TrainingSettings) -> list[dict[str, Any]]:
    """Each source by name, share of the crops, channels, and a fingerprint of a crop, the same for the same data."""
    total = sum(source.weight for source in sources)
    step = -(-len(sources) // PROBED)
    return [
        {
            "name": source.name,
            "share": round(source.weight / total, 6),
            "channels": source.channels,
            "images": _images(source),
            "probe": _probe(source, settings) if i % step == 0 else "",
        }
        for i, source in enumerate(sources)
    ]


def _images(source: Source) -> int:
    """How many images a source holds, where it counts them; else it is one."""
    return len(getattr(source, "items", (source,)))


def _probe(source: Source, settings: TrainingSettings) -> str:
    crop = source.draw(np.random.default_rng(settings.seed), settings.augmentation)
    seen = hashlib.sha256()
    for part in (crop.image, crop.flows, crop.inside):
        seen.update(np.ascontiguousarray(part, np.float32).tobytes())
    return seen.hexdigest()[:16]
