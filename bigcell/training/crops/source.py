"""Source: anything that labelled crops can be drawn from, and what one crop is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.training.crops.augment import Augmentation
from bigcell.training.stacks.labelled_planes import Example


@dataclass(frozen=True)
class Crop:
    """A labelled piece of an image as the network is to see it, float32: `image` ``(channels, h, w)``, `flows`
    ``(2, h, w)`` of unit length, `inside` ``(h, w)`` 0 or 1. `known` ``(h, w)`` bool: what is annotated, None for all.
    """

    image: Array = field(repr=False)
    flows: Array = field(repr=False)
    inside: Array = field(repr=False)
    known: Array | None = field(repr=False, default=None)


class Source(Protocol):
    """Labelled images that crops are drawn from. Picklable, holds no voxels of large data, shared by workers.

    `name` is for logs and messages, `weight` how often it is drawn relative to others, `channels` 1 to 3. A crop
    follows from the state of `rng` and `augmentation` alone. `planes` gives whole labelled planes one at a time, in an
    order that does not change: for validation.
    """

    @property
    def name(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def channels(self) -> int: ...
    def draw(self, rng: np.random.Generator, augmentation: Augmentation) -> Crop: ...
    def planes(self) -> Iterator[Example]: ...


def with_channels(image: Array, channels: int, *, name: str = "the image") -> Array:
    """`image` ``(c, h, w)`` with as many `channels` as a network takes: those that it lacks are 0.

    >>> with_channels(np.ones((1, 1, 1)), 2).ravel()
    array([1., 0.])
    """
    missing = channels - len(image)
    if missing < 0:
        raise InputError(f"{name} has {len(image)} channels, wanted at most {channels}; choose some with channels")
    return np.concatenate([image, np.zeros((missing, *image.shape[1:]), image.dtype)]) if missing else image


def check_channels(sources: Sequence[Source], channels: int) -> None:
    """InputError for a source with more channels than the network takes."""
    for source in sources:
        if source.channels > channels:
            raise InputError(
                f"{source.name} has {source.channels} channels, the network takes {channels}: choose channels of the "
                "data, or train a network of more (--channels)"
            )
