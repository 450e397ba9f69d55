"""The last step of a run: labels get their name, their record and their table, and the store lists them."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zarr
from zarr.storage import LocalStore

from bigcell.core.errors import OutputError
from bigcell.io import remote_labels
from bigcell.io.folders import bring_folder, put_in_place, retired_place
from bigcell.io.location import attributes_of, joined, ome_of, open_group, open_store, read_bytes
from bigcell.io.targets import LabelTarget, final_path
from bigcell.io.write import LabelStore

RESERVED = {"ome", "multiscales", "image-label", "omero", "labels"}


def publish(store: LabelStore, *, attributes: Mapping[str, Any], files: Mapping[str, Path]) -> Path | str:
    """Give the built labels their final name and list them in the store. Returns the path, or the URL.

    `attributes` are added to those of the labels' group (``{"bigcell": record}``), `files`, and folders of files, are
    moved into its folder under the given names. Doing it again is harmless, and mends a publication that was cut off
    at any point.
    """
    if taken := RESERVED & set(attributes):
        raise ValueError(f"attributes {sorted(taken)} belong to OME-Zarr; keep records under a key of our own")
    for name in files:
        if Path(name).name != name or name.startswith("."):
            raise ValueError(f"{name!r} is not a plain file name")
    if store.target.is_remote:
        return _publish_elsewhere(store.target, attributes, files)
    return _publish_here(store.target, attributes, files)


def _publish_elsewhere(target: LabelTarget, attributes: Mapping[str, Any], files: Mapping[str, Path]) -> str:
    with remote_labels.refusals(target.store):
        remote_labels.settle(
            target.store, target.name, target.prefix, overwrite=target.overwrite, attributes=attributes, files=files
        )
        _make_known(target)
    return target.home


def _publish_here(target: LabelTarget, attributes: Mapping[str, Any], files: Mapping[str, Path]) -> Path:
    final = final_path(target)
    try:
        if target.building.exists():
            _complete(target.building, attributes, files)
            if final.exists() and not target.overwrite:
                raise OutputError(
                    f"{final} appeared while the labels were made; choose another name, or allow overwriting"
                )
            put_in_place(target.building, final)
        elif not final.exists():
            raise OutputError(f"there are no labels at {target.building} to publish; run the segmentation again")
        shutil.rmtree(retired_place(final), ignore_errors=True)
        _make_known(target)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{final} cannot be written ({error}); free some space or rights, then resume") from error
    return final


def _make_known(target: LabelTarget) -> None:
    """The store's own metadata tell of the labels."""
    _enlist(target)
    if target.own:
        _show_in_root(target)
    _consolidate(target)


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


def _enlist(target: LabelTarget) -> None:
    """Append the name to the store's list of labels; lists made by others lose nothing."""
    zarr_format: Any = 3 if target.version == "0.5" else 2
    labels = zarr.open_group(
        open_store(joined(target.store, "labels"), writing=True),
        mode="a",
        zarr_format=zarr_format,
        use_consolidated=False,
    )
    ome = dict(ome_of(attributes_of(labels)))
    listed = [n for n in ome.get("labels", []) if isinstance(n, str)]
    names = listed if target.name in listed else [*listed, target.name]
    if target.version == "0.5":  # some writers forget the version, which validators then miss
        labels.attrs["ome"] = {**ome, "version": ome.get("version", "0.5"), "labels": names}
    else:
        labels.attrs["labels"] = names


def _show_in_root(target: LabelTarget) -> None:
    """Let the root of a store of labels show its first labels as a label image, so that any path into it opens."""
    root = zarr.open_group(open_store(target.store, writing=True), mode="r+", use_consolidated=False)
    ome = dict(attributes_of(root).get("ome", {}))
    prefix = f"labels/{target.name}/"
    shown = [str(d["path"]) for m in ome.get("multiscales", []) for d in m["datasets"]]
    if any(not path.startswith(prefix) for path in shown):
        return
    theirs = attributes_of(open_group(target.home))["ome"]
    multiscale = dict(theirs["multiscales"][0])
    multiscale["datasets"] = [{**d, "path": prefix + d["path"]} for d in multiscale["datasets"]]
    root.attrs["ome"] = {**ome, "multiscales": [multiscale], "image-label": {"version": target.version}}


def _consolidate(target: LabelTarget) -> None:
    """Refresh the root's consolidated metadata, if it has any, so that it does not hide the new labels."""
    if target.version == "0.5":
        root = read_bytes(joined(target.store, "zarr.json")) or b"{}"
        had = json.loads(root).get("consolidated_metadata") is not None
    else:
        had = read_bytes(joined(target.store, ".zmetadata")) is not None
    if had:
        with warnings.catch_warnings():
            # It warns of our side files, and that format 3 says nothing of it yet: the store's owner chose it.
            warnings.simplefilter("ignore")
            store = open_store(target.store, writing=True)
            zarr.consolidate_metadata(store, zarr_format=3 if target.version == "0.5" else 2)
