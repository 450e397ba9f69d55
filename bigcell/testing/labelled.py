"""Labelled images in memory, as a source to train on: for tests, examples and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bigcell.core.volume import Array, ArrayVolume, Volume
from bigcell.synthetic import sample_volume
from bigcell.training.data.images import ImageSource, check_images
from bigcell.training.stacks.stack import Reading


@dataclass(frozen=True)
class ArrayPair:
    """An image, (y, x), (z, y, x) or (channel, z, y, x), and its integer labels."""

    name: str
    image: Array = field(repr=False)
    labels: Array = field(repr=False)

    @property
    def labels_at(self) -> None:
        return None

    def open(self) -> tuple[Volume, Volume]:
        return ArrayVolume(self.image), ArrayVolume(self.labels)


def arrays_source(pairs: Sequence[ArrayPair], *, name: str = "arrays", weight: float = 1.0) -> ImageSource:
    """Make a source of images in memory, checked as those from files are.

    Parameters
    ----------
    pairs
        Images with their labels.
    name
        What messages call the source.
    weight
        How often it is drawn from, compared with other sources.

    Returns
    -------
    ImageSource
        What a training takes.
    """
    return check_images(name, tuple(pairs), Reading(), weight=weight)


def synthetic_images(
    count: int = 2, side: int = 96, *, diameter: float = 14.0, channels: int = 1, seed: int = 0, name: str = "synthetic"
) -> ImageSource:
    """Make a source of synthetic planes; the same for the same arguments.

    Parameters
    ----------
    count
        Number of planes.
    side
        Pixels along y and x.
    diameter
        Size of a cell in pixels.
    channels
        How many channels of the images are kept.
    seed
        Another number makes other images.
    name
        What messages call the source.

    Returns
    -------
    ImageSource
        What a training takes.

    Examples
    --------
    >>> source = synthetic_images(1, 48, diameter=12)
    >>> source.channels, next(source.planes()).labels.shape
    (1, (48, 48))
    """
    made = [sample_volume((1, side, side), diameter=diameter, seed=seed + i) for i in range(count)]
    pairs = [ArrayPair(f"{name}-{i}", m.image[:channels], m.labels.astype("int32")) for i, m in enumerate(made)]
    return arrays_source(pairs, name=name)
