"""A source of many images, of which those at hand are held: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import isnan, prod

import numpy as np

from bigcell.core.errors import InputError
from bigcell.core.lru import ByteLimitedLRUCache
from bigcell.core.volume import Volume
from bigcell.training.crops.augment import Augmentation
from bigcell.training.crops.sampling import Tiles, draw_crop
from bigcell.training.crops.source import Crop
from bigcell.training.data.pairs import Labelled
from bigcell.training.stacks.channels import choose_channels
from bigcell.training.stacks.labelled_planes import Example
from bigcell.training.stacks.planes import example_planes
from bigcell.training.stacks.stack import Reading, Stack, make_stack

HELD = 1 << 28
"""Bytes of images, and of targets, that one process holds of a source."""
PLANES = 8
"""Planes of each view of a stack that are looked at in validation."""


@dataclass(frozen=True)
class ImageSource:
    """Images that are drawn equally often. `diameter` stands in for that of the cells where an image has none."""

    name: str
    items: Sequence[Labelled] = field(repr=False)
    weight: float
    channels: int
    diameter: float
    reading: Reading = field(default_factory=Reading)
    held: ByteLimitedLRUCache[Stack] = field(
        repr=False, compare=False, default_factory=lambda: ByteLimitedLRUCache(HELD)
    )
    tiles: Tiles = field(repr=False, compare=False, default_factory=lambda: Tiles(HELD))

    def draw(self, rng: np.random.Generator, augmentation: Augmentation) -> Crop:
        """A random crop of a random image."""
        return draw_crop(self._stack(int(rng.integers(len(self.items)))), self.tiles, rng, augmentation)

    def planes(self) -> Iterator[Example]:
        """Each image, or some planes of it if it is a stack."""
        for i in range(len(self.items)):
            yield from example_planes(self._stack(i), PLANES)

    def some(self, places: Sequence[int], suffix: str = "") -> ImageSource:
        """The source of the images at `places` alone."""
        return replace(self, name=self.name + suffix, items=tuple(self.items[i] for i in places))

    def _stack(self, place: int) -> Stack:
        item = self.items[place]

        def opened() -> tuple[Stack, int]:
            stack = open_item(item, self.reading)
            if isnan(stack.diameter):
                stack = replace(stack, diameter=self.diameter)
            return stack, _bytes(stack.image) + _bytes(stack.labels)

        return self.held.get(item.name, opened)


def open_item(item: Labelled, reading: Reading) -> Stack:
    """An image with its labels, checked and measured. Raises InputError, naming it, if it is no good."""
    image, labels = item.open()
    image = choose_channels(image, reading.channels, item.name)
    return make_stack(item.name, image, labels, reading, kept_at=item.labels_at if image.extent[0] > 1 else None)


def check_images(name: str, items: Sequence[Labelled], reading: Reading, *, weight: float = 1.0) -> ImageSource:
    """A source of `items`, each of which has been opened once and found fit to learn from; one is held at a time.

    Raises InputError, naming the image, at the first that is not: see `make_stack`; all must have as many channels,
    and cells, unless `reading.empty`.
    """
    diameters: list[float] = []
    channels = 0
    for item in items:
        stack = open_item(item, reading)
        if not stack.cells and not reading.empty:
            raise InputError(
                f"{item.name}: its labels hold no cell; wanted at least one: leave the image out, or say empty = true "
                "if images without cells are meant to be learned from"
            )
        channels = channels or stack.channels
        if stack.channels != channels:
            raise InputError(
                f"{item.name} has {stack.channels} channels, {items[0].name} has {channels}; wanted the same in all: "
                "choose some (channels), such as ['grey']"
            )
        if stack.cells:
            diameters.append(stack.diameter)
    if not diameters:
        raise InputError(f"{name}: no image holds a cell; wanted labels to learn from")
    return ImageSource(name, items, weight, channels, float(np.median(diameters)), reading)


def _bytes(volume: Volume) -> int:
    return prod(volume.extent) * len(volume.channels) * volume.dtype.itemsize
