"""Where labels will go, settled and checked before any work: in the image's own store, or in one of their own."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr
from zarr.storage import LocalStore

from bigcell.core.errors import InputError, OutputError
from bigcell.io.folders import building_place
from bigcell.io.location import absolute, attributes_of, is_url, open_group
from bigcell.io.open import ZarrVolume

MARK = {"holds": "labels"}
"""What the root of a store of labels says of itself under ``bigcell``, so that we know it again."""


@dataclass(frozen=True)
class LabelTarget:
    """A name for labels in the store at `store`. `own`: the store is for labels alone, not the image's."""

    store: str
    name: str
    version: str
    own: bool
    overwrite: bool

    @property
    def labels(self) -> Path:
        """The folder of all labels of the store."""
        return Path(self.store) / "labels"

    @property
    def building(self) -> Path:
        """Where the labels are written until they are whole: beside the final place, so that renaming is enough."""
        return building_place(self.labels / self.name)


def final_path(target: LabelTarget) -> Path:
    """Where the labels will be found: ``<store>/labels/<name>``."""
    return target.labels / target.name


def check_target(store: str | Path, name: str, *, image: ZarrVolume | None, overwrite: bool) -> LabelTarget:
    """`name` in `store` as a place for labels of `image`, or an OutputError that says why it cannot be one.

    The image's own store keeps its OME-Zarr version; any other store must be new, or one that we made for labels.
    Nothing is written.
    """
    _check_name(name)
    if is_url(store):
        raise OutputError(f"labels cannot be written to the URL {store}; give a local path, then upload the folder")
    root = Path(absolute(store))
    in_image = image is not None and not is_url(image.info.source) and _same(root, Path(image.info.source))
    version = image.info.version if in_image and image is not None else "0.5"
    target = LabelTarget(str(root), name, version, not in_image, overwrite)
    if not in_image:
        _check_own(root)
    elif image is not None and image.info.zarr_format != (3 if version == "0.5" else 2):
        raise OutputError(
            f"{root} is OME-Zarr {version} in zarr format {image.info.zarr_format}, which no version allows; "
            "give a path that does not exist for the labels"
        )
    if final_path(target).exists() and not overwrite:
        raise OutputError(f"{final_path(target)} exists already; choose another name, or allow overwriting")
    _check_writable(target)
    return target


def make_root(target: LabelTarget) -> None:
    """The root of a store of labels, where it is not there yet."""
    if target.own and not (Path(target.store) / "zarr.json").exists():
        attributes: dict[str, Any] = {"ome": {"version": target.version}, "bigcell": MARK}
        zarr.create_group(LocalStore(target.store), zarr_format=3, attributes=attributes)


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.samefile(other)


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[^\W_][\w .+()-]*", name) or ".." in name or name != name.strip():
        raise OutputError(
            f"{name!r} cannot name labels; wanted letters, digits, spaces and ._+()-, beginning with a letter or digit"
        )


def _check_own(root: Path) -> None:
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return
    if not root.is_dir():
        raise OutputError(f"{root} is a file, wanted a folder for the labels; give a path that does not exist")
    try:
        attributes = attributes_of(open_group(str(root)))
    except InputError as error:
        raise OutputError(f"{root} exists and is not a zarr group; give a path that does not exist") from error
    if attributes.get("bigcell") != MARK:
        raise OutputError(
            f"{root} is a zarr group, but neither the image's own nor one made for labels; "
            "give the image's path or one that does not exist"
        )


def _check_writable(target: LabelTarget) -> None:
    folder = target.labels
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file, wanted a folder; give another path for the labels")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder} is read-only; give another path for the labels (an own store), or ask for access")
