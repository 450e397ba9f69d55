"""Where labels will go, settled and checked before any work: in the image's own store, or in one of their own."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from unicodedata import category

from bigcell.core.errors import InputError, OutputError
from bigcell.core.names import composed, is_letter
from bigcell.io.atomic import coming
from bigcell.io.ngff.image import ZarrVolume
from bigcell.io.stores.leases import is_lease
from bigcell.io.stores.location import attributes_of, open_group
from bigcell.io.stores.shared_documents import LOCK
from bigcell.io.stores.staged_folder import building_place
from bigcell.io.stores.urls import absolute, is_url, joined
from bigcell.io.stores.zip_store import split_zip

MARK = {"holds": "labels"}
"""What the root of a store of labels says of itself under ``bigcell``, so that we know it again."""

OURS = {"zarr.json", "plan.json", "status.json", "record.json", "objects.parquet", "report.html", "so-far.html"}
"""Names, in any case, that a zarr document or our own files have."""
PASSING = (".partial", ".building", ".old", ".coming", ".lease", ".lock", ".tmp", ".pending", ".bigcell")
"""How names end of what is on its way, and is swept."""
LOCK_NAME = Path(LOCK).name
LONGEST_NAME, LONGEST_STORE = 200, 230
"""Bytes, of 255: the rest is for what is put before and after."""


@dataclass(frozen=True)
class LabelTarget:
    """A name for labels in the store at `store`. `own`: the store is for labels alone, not the image's.

    `prefix`: the folder of their levels, in object stores only, where labels are replaced (`io.labels.remote_labels`).
    """

    store: str
    name: str
    version: str
    own: bool
    overwrite: bool
    prefix: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether the store is an object store."""
        return is_url(self.store)

    @property
    def home(self) -> str:
        """Where the labels will be found, a path or a URL."""
        return joined(self.store, "labels", self.name)

    @property
    def group(self) -> str:
        """Where their group is written until all is there."""
        return joined(self.store, "labels", f".{self.name}.building")

    @property
    def arrays(self) -> str:
        """Where their levels are written: object stores cannot rename, so there it is their place at once."""
        return self.home if self.is_remote else self.group

    @property
    def labels(self) -> Path:
        """The folder of all labels of a local store."""
        return Path(self.store) / "labels"

    @property
    def building(self) -> Path:
        """Where labels on disk are written until they are whole: beside the final place, so that renaming is enough."""
        return building_place(self.labels / self.name)


def final_path(target: LabelTarget) -> Path:
    """Where labels on disk will be found: ``<store>/labels/<name>``."""
    return target.labels / target.name


def check_target(store: str | Path, name: str, *, image: ZarrVolume | None, overwrite: bool) -> LabelTarget:
    """`name` in `store` as a place for labels of `image`, or an OutputError that says why it cannot be one.

    The image's own store keeps its OME-Zarr version; any other store must be new, or one that we made for labels.
    Nothing is written.
    """
    name, root = label_name(name), absolute(store)
    if split_zip(root):
        raise OutputError(
            f"{store} is a zip, into which nothing is written; give a place for the labels, as in --output cells.zarr"
        )
    _check_length(root.rpartition("/")[2], LONGEST_STORE, "as the name of a store for labels, beside which a run works")
    in_image = image is not None and _same(root, image.info.source)
    version = image.info.version if in_image and image is not None else "0.5"
    target = LabelTarget(root, name, version, not in_image, overwrite)
    if not in_image:
        _check_own(root)
    elif image is not None and image.info.zarr_format != (3 if version != "0.4" else 2):
        raise OutputError(
            f"{root} is OME-Zarr {version} in zarr format {image.info.zarr_format}, which no version allows; "
            "give a path that does not exist for the labels"
        )
    if target.is_remote:
        return _checked_elsewhere(target)
    if final_path(target).exists() and not overwrite:
        raise OutputError(f"{final_path(target)} exists already; choose another name, or allow overwriting")
    _check_writable(target)
    return target


def check_again(target: LabelTarget, image: ZarrVolume | None) -> None:
    """OutputError for a target that was read from a file and is not what `check_target` allows."""
    label_name(target.name)
    if target.is_remote:  # labels that are being made stand there, so that it would be refused as taken
        from bigcell.io.labels import remote_labels

        remote_labels.check_scheme(target.store)
        wanted = replace(target, store=absolute(target.store))
        if not re.fullmatch(r"(v\d{1,9})?", target.prefix) or (target.prefix and not target.overwrite):
            wanted = replace(target, prefix="")
    else:
        wanted = check_target(target.store, target.name, image=image, overwrite=target.overwrite)
    if wanted != target:
        raise OutputError(f"the plan says that labels go to {target}, wanted {wanted}: do not trust it, and start anew")


def _checked_elsewhere(target: LabelTarget) -> LabelTarget:
    from bigcell.io.labels import remote_labels

    with remote_labels.refusals(target.store):
        prefix = remote_labels.settle_prefix(target.store, target.name, overwrite=target.overwrite)
    remote_labels.check_writable(target.store, target.name)
    return replace(target, prefix=prefix)


def _same(one: str, other: str) -> bool:
    if is_url(one) or is_url(other):
        return one == other
    return Path(one).exists() and Path(one).samefile(other)


def label_name(name: str) -> str:
    """`name` as labels are called by it, the same for every way to type it; OutputError where none can have it.

    >>> label_name("cells")
    'cells'
    """
    shown, name = f"{name[:60]!a}" if not name.isprintable() else f"{name[:60]!r}", composed(name)
    if not name or not all(is_letter(c) or c in " _.+()-" for c in name) or category(name[0])[0] not in "LN":
        raise OutputError(
            f"{shown} cannot name labels; wanted letters, digits, spaces and ._+()-, beginning with a letter or digit"
        )
    if ".." in name or name != name.strip():
        raise OutputError(f"{shown} cannot name labels; wanted no two dots together, and no space at its ends")
    if name.casefold() in OURS or name.casefold().endswith(PASSING):
        raise OutputError(f"{shown} cannot name labels: files of a store or of a run are called so; give another")
    _check_length(name, LONGEST_NAME, "as a name of labels")
    return name


def _check_length(name: str, most: int, what: str) -> None:
    """What is written has longer names on its way."""
    size = len(name.encode())
    if size > most:
        raise OutputError(f"{name[:40]}... has {size} bytes, wanted at most {most} {what}; shorten it")


def _check_own(root: str) -> None:
    if _is_free(root):
        return
    try:
        attributes = attributes_of(open_group(root))
    except InputError as error:
        raise OutputError(f"{root} exists and is not a zarr group; give a path that does not exist") from error
    if attributes.get("bigcell") != MARK:
        raise OutputError(
            f"{root} is a zarr group, but neither the image's own nor one made for labels; "
            "give the image's path or one that does not exist"
        )


def _is_free(root: str) -> bool:
    """Whether nothing is at `root` yet."""
    if is_url(root):
        from bigcell.io.labels import remote_labels

        remote_labels.check_scheme(root)
        return remote_labels.is_empty(root)
    path = Path(root)
    if path.exists() and not path.is_dir():
        raise OutputError(f"{root} is a file, wanted a folder for the labels; give a path that does not exist")
    return not path.exists() or all(map(_is_left, path.iterdir()))


def _is_left(place: Path) -> bool:
    """Whether what lies in a store is of drivers that were killed before it was one."""
    if place == coming(place.parent / "zarr.json"):
        return True
    return (
        place.name == "labels" and place.is_dir() and all(is_lease(p) or p.name == LOCK_NAME for p in place.iterdir())
    )


def _check_writable(target: LabelTarget) -> None:
    folder = target.labels
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file, wanted a folder; give another path for the labels")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{folder} is read-only; give another path for the labels (an own store), or ask for access")
