"""A source of planes of one large volume, in all three orientations: only what a crop shows is ever read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Volume
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.stores.urls import is_url, joined, without_credentials
from bigcell.io.stores.zip_store import split_zip
from bigcell.training.crops.augment import Augmentation
from bigcell.training.crops.sampling import Tiles, draw_crop
from bigcell.training.crops.source import Crop
from bigcell.training.data.images import HELD, PLANES
from bigcell.training.data.pairs import FilePair
from bigcell.training.data.split import SplitSettings, split_box
from bigcell.training.stacks.channels import choose_channels
from bigcell.training.stacks.labelled_planes import Example
from bigcell.training.stacks.planes import example_planes
from bigcell.training.stacks.stack import Reading, Stack, make_stack, restricted


@dataclass(frozen=True)
class VolumeSource:
    """Planes of a labelled volume, or of the boxes of it that are annotated."""

    stack: Stack
    weight: float = 1.0
    tiles: Tiles = field(repr=False, compare=False, default_factory=lambda: Tiles(HELD))

    @property
    def name(self) -> str:
        return self.stack.name

    @property
    def channels(self) -> int:
        return self.stack.channels

    def draw(self, rng: np.random.Generator, augmentation: Augmentation) -> Crop:
        """A random crop of a random plane."""
        return draw_crop(self.stack, self.tiles, rng, augmentation)

    def planes(self) -> Iterator[Example]:
        """Some planes of each view of each annotated box."""
        return example_planes(self.stack, PLANES)


@dataclass(frozen=True)
class LabelledVolume:
    """A volume with its labels, opened and not yet read. Targets are kept beside `labels_at`, if anywhere."""

    name: str
    image: Volume = field(repr=False)
    labels: Volume = field(repr=False)
    labels_at: str | None = None


def open_labelled(
    image: str, labels: str | None = None, *, channels: Sequence[int | str] | None = None, axes: str | None = None
) -> LabelledVolume:
    """The OME-Zarr image at `image` with its group of `labels` (by name; the only one), or with those of another store.

    `labels` with a slash in it is the path of a label image, such as ``corrected.zarr/labels/cells``. Or both are files
    such as TIFF stacks, the image of `axes`.
    """
    shown = without_credentials(image)
    if not is_url(image) and Path(image).is_file() and split_zip(image) is None:
        if labels is None:
            raise InputError(f"{shown} is a file, wanted the path of its labels with it (labels)")
        pair = FilePair(image, labels, axes)
        opened, truth = pair.open()
        return LabelledVolume(shown, choose_channels(opened, channels, shown), truth, labels)
    if axes is not None:
        raise InputError(f"{shown} is no file of pixels, but OME-Zarr, which names its axes itself; leave axes out")
    if labels is None:
        known = read_info(image).labels
        if len(known) != 1:
            told = f"several labels ({', '.join(known)}), choose one" if known else "no labels, give them"
            raise InputError(f"{shown} has {told} (labels)")
        labels = known[0]
    place = labels if "/" in labels else joined(image, "labels", labels)
    return LabelledVolume(
        shown,
        choose_channels(open_image(image), channels, shown),
        open_image(place),
        None if is_url(place) else place,
    )


def volume_source(
    given: LabelledVolume, reading: Reading, *, boxes: Sequence[Box] = (), weight: float = 1.0
) -> VolumeSource:
    """A source of the annotated `boxes` of a labelled volume, or of all of it. All of them are read once."""
    stack = make_stack(given.name, given.image, given.labels, reading, boxes=boxes, kept_at=given.labels_at)
    if not stack.cells:
        where = "the annotated boxes hold" if boxes else "its labels hold"
        raise InputError(f"{given.name}: {where} no cell; wanted at least one to learn from")
    return VolumeSource(stack, weight)


def split_volume(
    source: VolumeSource, settings: SplitSettings, labels_at: str | None
) -> tuple[VolumeSource, VolumeSource | None]:
    """The source without a slab and a gap, of which it reads no voxel, and that of the slab (None: nothing is kept)."""
    stack = source.stack
    train, slab = split_box(stack.bounds.shape, settings, diameter=stack.diameter, anisotropy=stack.anisotropy)
    if slab is None:
        return source, None
    kept = restricted(stack, slab, f"{stack.name} (validation)", kept_at=labels_at)
    rest = restricted(stack, train, stack.name, kept_at=labels_at)
    return VolumeSource(rest, source.weight), VolumeSource(kept, source.weight)
