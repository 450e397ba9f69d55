"""The last step of a run: labels get their name, their record and their table, and the store lists them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import zarr
from zarr.storage import LocalStore

from bigcell.core.errors import OutputError
from bigcell.io.labels import remote_labels
from bigcell.io.labels.destination import LabelTarget, final_path
from bigcell.io.labels.label_store import LabelStore
from bigcell.io.labels.store_metadata import make_known
from bigcell.io.stores.location import group_is_there
from bigcell.io.stores.staged_folder import bring_folder, is_marked, take_name, unmark

RESERVED = {"ome", "multiscales", "image-label", "omero", "labels"}


def nothing() -> None:
    """For those who have nothing to put down."""


def publish(
    store: LabelStore,
    *,
    attributes: Mapping[str, Any],
    files: Mapping[str, Path],
    then: Callable[[], object] = nothing,
) -> Path | str:
    """Give the built labels their final name and list them in the store. Returns the path, or the URL.

    `attributes` are added to those of the labels' group (``{"bigcell": record}``), `files`, and folders of files, are
    moved into its folder under the given names. Doing it again is harmless, and mends a publication that was cut off
    at any point. `then` is called when all is done but for the mark that says that something is under way: where that
    is gone, `then` was called.
    """
    if taken := RESERVED & set(attributes):
        raise ValueError(f"attributes {sorted(taken)} belong to OME-Zarr; keep records under a key of our own")
    for name in files:
        if Path(name).name != name or name.startswith("."):
            raise ValueError(f"{name!r} is not a plain file name")
    if store.target.is_remote:
        place: Path | str = _publish_elsewhere(store.target, attributes, files)
        then()
        return place
    return _publish_here(store.target, attributes, files, then)


def has_name(target: LabelTarget) -> bool:
    """Whether labels on disk got their name from a driver that was cut off before it had told the store of them."""
    return not target.is_remote and is_marked(final_path(target)) and not is_marked(target.building)


def finish(target: LabelTarget, then: Callable[[], object] = nothing) -> Path:
    """What is left to do for labels that have their name. `has_name` no longer holds afterwards."""
    final = final_path(target)
    take_name(target.building, final)  # removes what they replaced
    make_known(target)
    then()
    unmark(final)
    return final


def _publish_elsewhere(target: LabelTarget, attributes: Mapping[str, Any], files: Mapping[str, Path]) -> str:
    with remote_labels.refusals(target.store):
        remote_labels.settle(
            target.store, target.name, target.prefix, overwrite=target.overwrite, attributes=attributes, files=files
        )
        make_known(target)
    return target.home


def _publish_here(
    target: LabelTarget, attributes: Mapping[str, Any], files: Mapping[str, Path], then: Callable[[], object]
) -> Path:
    final = final_path(target)
    try:
        if not has_name(target) and group_is_there(target.group):
            _complete(target.building, attributes, files)
            if final.exists() and not target.overwrite:
                raise OutputError(
                    f"{final} appeared while the labels were made; choose another name, or allow overwriting"
                )
            take_name(target.building, final)
        elif not group_is_there(target.home):
            raise OutputError(f"there are no labels at {target.building} to publish; run the segmentation again")
        return finish(target, then)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{final} cannot be written ({error}); free some space or rights, then resume") from error


def _complete(building: Path, attributes: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Records and side files go in before the renaming, so that the final name never stands for less than all."""
    group = zarr.open_group(LocalStore(building), mode="r+", use_consolidated=False)
    group.attrs.update(dict(attributes))
    for name, source in files.items():
        # Beside the levels, where people look. Readers that ask for nodes by name (all that we know) never see them;
        # only zarr's listing of this group's members warns. Tables elsewhere could be parted from their labels.
        if source.is_dir():
            bring_folder(source, building / name)
        elif source.exists():
            shutil.move(source, building / name)
        elif not (building / name).exists():
            raise OutputError(f"{source} is missing and was to be kept with the labels; run the last step again")
