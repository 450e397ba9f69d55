"""Folders of images with their labels beside them, as Cellpose has them: found by name, opened when they are drawn."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from bigcell.core.box import Box
from bigcell.core.errors import AxesError, InputError
from bigcell.core.paths import local_path
from bigcell.core.volume import ArrayVolume, Volume
from bigcell.io.formats.convert import open_pixels
from bigcell.io.formats.pictures import PICTURES, TIFF
from bigcell.io.formats.seg_npy import read_seg

KINDS = TIFF | PICTURES | {".npy"}
LABELS = ("_masks", "_cp_masks", "_labels", "_seg")
"""How the names of labels end, the first that is there counts; ``_seg`` is a ``.npy``."""
IMAGES = ("_img", "_image")
"""What the names of images may end with, that those of their labels lack."""
LOADED = 1 << 26
"""Bytes of a volume up to which it is held whole while it is drawn from."""
_NO_IMAGE = re.compile(r"(_masks|_labels|_seg|_outlines|_flows(_\d)?|_cellprob|_cp_output)$")


class Labelled(Protocol):
    """An image with labels that can be opened: it holds neither. Targets are kept beside `labels_at`, if anywhere."""

    @property
    def name(self) -> str: ...
    @property
    def labels_at(self) -> str | None: ...
    def open(self) -> tuple[Volume, Volume]: ...


@dataclass(frozen=True, slots=True)
class FilePair:
    """An image and its labels in two files. `axes` of the image, such as "czyx", where the file does not say them and
    more than one order fits the labels."""

    image: str
    labels: str
    axes: str | None = None

    @property
    def name(self) -> str:
        return self.image

    @property
    def labels_at(self) -> str:
        return self.labels

    def open(self) -> tuple[Volume, Volume]:
        """The image and the labels as volumes; InputError, naming the file, where one cannot be read."""
        labels = ArrayVolume(read_seg(self.labels)) if self.labels.endswith("_seg.npy") else _labels(self.labels)
        return _held(_image(self.image, self.axes, labels.extent)), _held(labels)


def find_pairs(folder: str | Path, *, axes: str | None = None) -> tuple[FilePair, ...]:
    """The images in `folder`, of `axes`, with their labels, sorted by name; opens none of them.

    ``a.png`` goes with ``a_masks``, ``a_cp_masks`` or ``a_labels`` (TIFF, PNG, .npy), or ``a_seg.npy``; so do
    ``a_img.png`` and ``a_image.png``, and ``image.tif`` with ``labels.tif``. Raises InputError for an image without
    labels, labels without an image, and a folder without any.
    """
    place = local_path(folder)
    if not place.is_dir():
        raise InputError(f"{place} is not a folder; wanted one with images and their labels")
    files = sorted(p for p in place.iterdir() if p.suffix.lower() in KINDS and not p.name.startswith("."))
    labels: dict[str, Path] = {}
    for path in filter(_is_labels, files):
        if path.stem in labels:
            raise InputError(f"{labels[path.stem]} and {path.name} are labels of one name; wanted one of them")
        labels[path.stem] = path
    images = [p for p in files if p.stem not in labels and not _NO_IMAGE.search(p.stem)]
    if not images:
        raise InputError(f"{place} holds no images ({', '.join(sorted(KINDS))}); wanted some, with labels beside them")
    pairs = tuple(_paired(image, labels, axes) for image in images)
    by_labels: dict[str, str] = {}
    for pair in pairs:
        if pair.labels in by_labels:
            raise InputError(f"{by_labels[pair.labels]} and {pair.image} have the same labels; wanted one of them")
        by_labels[pair.labels] = pair.image
    left = {str(p) for p in labels.values()} - {pair.labels for pair in pairs}
    spare = {str(labels[other]) for pair in pairs for other in _names(Path(pair.image)) if other in labels}
    if left - spare:
        raise InputError(f"{min(left - spare)} holds labels, but there is no image of that name beside it")
    return pairs


def _is_labels(path: Path) -> bool:
    if path.stem.endswith("_seg"):
        return path.suffix == ".npy"
    return path.stem.endswith(LABELS) or path.stem in [ending[1:] for ending in LABELS]


def _names(image: Path) -> list[str]:
    """What the labels of an image may be called, without suffix, the first that is there counts."""
    bases = [image.stem] + [image.stem.removesuffix(end) for end in IMAGES if image.stem.endswith(end)]
    names = [base + ending for base in bases for ending in LABELS]
    return names + ([ending[1:] for ending in LABELS] if image.stem in [end[1:] for end in IMAGES] else [])


def _paired(image: Path, labels: dict[str, Path], axes: str | None) -> FilePair:
    for name in _names(image):
        if name in labels:
            return FilePair(str(image), str(labels[name]), axes)
    raise InputError(
        f"{image} has no labels beside it; wanted {image.stem}_masks.tif (or .png), {image.stem}_labels.tif or "
        f"{image.stem}_seg.npy"
    )


def _labels(path: str) -> Volume:
    """Labels have no channels, so two axes are y and x, and three z, y and x, where the file says nothing."""
    try:
        return _one(path, None)
    except InputError as error:
        for axes in ("yx", "zyx"):
            with suppress(InputError):
                return _one(path, axes)
        raise error


def _image(path: str, axes: str | None, extent: tuple[int, int, int]) -> Volume:
    """The image in a file; where that does not say its axes, those that give it the `extent` of its labels."""
    try:
        return _one(path, axes)
    except AxesError:
        if axes is not None:
            raise
        found = []
        for guess in ("yx", "zyx", "cyx", "yxc", "czyx", "zcyx", "zyxc"):
            with suppress(InputError):
                found += [volume] if (volume := _one(path, guess)).extent == extent else []
        if len(found) != 1:
            raise
        return found[0]


def _one(path: str, axes: str | None) -> Volume:
    volumes = open_pixels(path, axes=axes)
    if len(volumes) != 1:
        raise InputError(f"{path} holds {len(volumes)} time points; wanted one: write them to files of their own")
    return volumes[0]


def _held(volume: Volume) -> Volume:
    """A small volume in memory, so that it is decoded once for many crops."""
    size = int(np.prod(volume.extent)) * len(volume.channels) * volume.dtype.itemsize
    if size > LOADED:
        return volume
    return ArrayVolume(np.array(volume.read(Box.of(volume.extent))), volume.spacing, volume.channels)
