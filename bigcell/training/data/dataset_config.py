"""What to train on, from a file that says so, a folder of images with labels, or a store: sources, ready to draw from.

    [[train]]
    folder = "images"              # images with labels beside them
    channels = ["cells", "nuclei"]
    weight = 2.0

    [[train]]
    image = "brain.zarr"           # an OME-Zarr image, and the name of its labels
    labels = "cells"
    boxes = [[0, 64, 0, 256, 0, 256], [100, 101, 0, 512, 0, 512]]

    [split]
    validation = 0.1

Paths are those seen from the file. ``[[validation]]`` takes the same as ``[[train]]``, and stands instead of a split.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bigcell.core.box import Box
from bigcell.core.documents import is_number
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.paths import local_path
from bigcell.core.settings import from_dict
from bigcell.io.stores.location import group_is_there
from bigcell.io.stores.urls import absolute, is_url
from bigcell.training.crops.source import Source
from bigcell.training.data.images import ImageSource, check_images
from bigcell.training.data.pairs import KINDS, find_pairs
from bigcell.training.data.split import SplitSettings, split_names
from bigcell.training.data.volumes import LabelledVolume, open_labelled, split_volume, volume_source
from bigcell.training.stacks.stack import Reading

Sources = tuple[tuple[Source, ...], tuple[Source, ...]]
"""What is trained on, and what is looked at."""


@dataclass(frozen=True)
class Entry:
    """One set of labelled images: a `folder` of pairs, or an `image` with its `labels`: OME-Zarr with a name or a path,
    or two files. `axes` of the images, where files do not say them.

    `boxes` of it that are annotated: z0, z1, y0, y1, x0, x1 in voxels, the ends not in them. `weight`: how often it is
    drawn, relative to others. `channels`, `anisotropy`, `diameter`, `invertible`, `empty`: see `Reading`.
    """

    folder: str | None = None
    image: str | None = None
    labels: str | None = None
    axes: str | None = None
    boxes: tuple[tuple[int, ...], ...] = ()
    channels: tuple[int | str, ...] | None = None
    weight: float = 1.0
    anisotropy: float | None = None
    diameter: float | None = None
    invertible: bool = False
    empty: bool = False

    def __post_init__(self) -> None:
        if (self.folder is None) == (self.image is None):
            raise SettingsError(f"{self._shown}: wanted either a folder of images with labels, or an image")
        if self.folder is not None and (self.labels is not None or self.boxes):
            raise SettingsError(f"{self._shown}: labels and boxes go with an image, not with a folder")
        for name, kind in (
            ("folder", str),
            ("image", str),
            ("labels", str),
            ("axes", str),
            ("invertible", bool),
            ("empty", bool),
        ):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise SettingsError(f"{self._shown}: {name} is {value!r}; wanted a {kind.__name__}")
        for name in ("weight", "anisotropy", "diameter"):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and value > 0):
                raise SettingsError(f"{self._shown}: {name} is {value!r}; wanted a number above 0")
        if self.channels is not None and not isinstance(self.channels, tuple):
            raise SettingsError(f"{self._shown}: channels is {self.channels!r}; wanted a list, such as [0, 1]")
        self._check_boxes()

    def _check_boxes(self) -> None:
        for box in self.boxes if isinstance(self.boxes, tuple) else (self.boxes,):
            whole = isinstance(box, tuple) and len(box) == 6 and all(type(n) is int for n in box)
            if not whole or not all(0 <= a < b for a, b in zip(box[::2], box[1::2], strict=True)):
                raise SettingsError(
                    f"{self._shown}: box {box!r}; wanted z0, z1, y0, y1, x0, x1 from 0, each end above its start"
                )

    @property
    def _shown(self) -> str:
        return str(self.folder or self.image or "an entry without a folder or an image")

    @property
    def reading(self) -> Reading:
        return Reading(self.channels, self.anisotropy, self.diameter, self.invertible, self.empty)


@dataclass(frozen=True)
class DataFile:
    """The whole of a data file."""

    train: tuple[Entry, ...] = ()
    validation: tuple[Entry, ...] = ()
    split: SplitSettings | None = None

    def __post_init__(self) -> None:
        for part in (self.train, self.validation):
            if not isinstance(part, tuple) or not all(isinstance(entry, Entry) for entry in part):
                raise SettingsError("train and validation are lists: write [[train]] and [[validation]]")
        if not self.train:
            raise SettingsError("nothing to train on: wanted at least one [[train]] with a folder or an image")
        if self.validation and self.split is not None:
            raise SettingsError("validation data are given, so there is nothing to split: leave out either")


def read_sources(
    place: str | Path,
    *,
    channels: Sequence[int | str] | None = None,
    boxes: Sequence[Sequence[int]] = (),
    split: SplitSettings | None = None,
) -> Sources:
    """The sources of training and of validation at `place`: a data file, a folder of pairs, or an OME-Zarr image.

    Every image is read once: InputError or SettingsError, naming the file, before any training if one is no good.
    `channels`, `boxes` and `split` (a tenth is kept for validation) are for a folder or an image; a file says them.
    """
    if Path(place).suffix.lower() == ".toml":
        if channels is not None or boxes or split is not None:
            raise SettingsError(f"{place} says channels, boxes and the split itself; write them there")
        return open_sources(read_data_file(place))
    shared: dict[str, Any] = {"channels": None if channels is None else tuple(channels)}
    if is_url(place) or group_is_there(absolute(place)):
        entry = Entry(image=absolute(place), boxes=tuple(tuple(box) for box in boxes), **shared)
    elif boxes:
        raise SettingsError(f"{place} is no OME-Zarr image, so there are no boxes of it; leave them out")
    else:
        entry = Entry(folder=str(place), **shared)
    return open_sources(DataFile((entry,), (), split))


def read_data_file(path: str | Path) -> DataFile:
    """The data file at `path`, its paths made absolute. An unknown word is an error that names the nearest."""
    path = local_path(path)
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{path} is not a data file in TOML ({error})") from error
    try:
        data = from_dict(DataFile, found)
    except (SettingsError, TypeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    train, validation = (
        tuple(_seen_from(entry, path.parent) for entry in part) for part in (data.train, data.validation)
    )
    return DataFile(train, validation, data.split)


def open_sources(data: DataFile) -> Sources:
    """The sources that `data` names, checked. Without validation data a part of each is kept for it."""
    if data.validation:
        whole = SplitSettings(validation=0.0)
        parts = [_opened(entry, whole) for entry in data.train], [_opened(entry, whole) for entry in data.validation]
        train, validation = (tuple(source for found, _ in part for source in found) for part in parts)
        return train, validation
    found = [_opened(entry, data.split or SplitSettings()) for entry in data.train]
    return tuple(s for train, _ in found for s in train), tuple(s for _, kept in found for s in kept)


def _opened(entry: Entry, split: SplitSettings) -> Sources:
    if entry.folder is not None:
        pairs = find_pairs(entry.folder, axes=entry.axes)
        alone = _opened_labelled(entry, pairs[0].image, pairs[0].labels) if len(pairs) == 1 else None
        if alone is None or alone.image.extent[0] == 1:
            return _split_images(check_images(entry.folder, pairs, entry.reading, weight=entry.weight), split)
        given = alone  # a stack on its own is split as a volume
    else:
        assert entry.image is not None
        given = _opened_labelled(entry, entry.image, entry.labels)
    boxes = [Box(tuple(box[::2]), tuple(box[1::2])) for box in entry.boxes]
    volume = volume_source(given, entry.reading, boxes=boxes, weight=entry.weight)
    train, kept = split_volume(volume, split, given.labels_at)
    return (train,), () if kept is None else (kept,)


def _opened_labelled(entry: Entry, image: str, labels: str | None) -> LabelledVolume:
    return open_labelled(image, labels, channels=entry.channels, axes=entry.axes)


def _split_images(source: ImageSource, split: SplitSettings) -> Sources:
    train, kept = split_names([Path(item.name).name for item in source.items], split)
    if not kept:
        return (source,), ()
    return (source.some(train),), (source.some(kept, " (validation)"),)


def _seen_from(entry: Entry, folder: Path) -> Entry:
    """`entry` with paths that are seen from `folder`. A name of labels is no path."""

    def seen(place: str | None) -> str | None:
        return place if place is None or is_url(place) else str(folder / local_path(place))

    place = entry.labels is not None and ("/" in entry.labels or Path(entry.labels).suffix.lower() in KINDS)
    labels = seen(entry.labels) if place else entry.labels
    return replace(entry, folder=seen(entry.folder), image=seen(entry.image), labels=labels)
