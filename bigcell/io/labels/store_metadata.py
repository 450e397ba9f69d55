"""What a store's own metadata say of its labels: their list, the label image at the root, consolidated metadata.

Many runs may finish in one store at the same time, so each document is changed by `change_document`, and each run
changes them in the order list, root, consolidated: the last one to consolidate sees the lists of all.
"""

from __future__ import annotations

import json
import warnings
from typing import Any, Literal

import zarr
from zarr.core.buffer import Buffer
from zarr.storage import WrapperStore

from bigcell.io.labels.destination import MARK, LabelTarget
from bigcell.io.stores.location import attributes_of, open_group, open_store
from bigcell.io.stores.shared_documents import change_document, read_json, to_bytes
from bigcell.io.stores.urls import joined

GROUP: dict[str, Any] = {"attributes": {}, "zarr_format": 3, "node_type": "group"}


def make_root(target: LabelTarget) -> None:
    """The root of a store of labels, where it is not there yet."""
    if target.own:
        root = {**GROUP, "attributes": {"ome": {"version": target.version}, "bigcell": MARK}}
        change_document(target.store, "zarr.json", lambda held: to_bytes(root) if held is None else None)


def make_known(target: LabelTarget) -> None:
    """Have the store's own metadata tell of labels that have their name. Doing it again changes nothing."""
    _list_labels(target)
    if target.own:
        _show_in_root(target)
    _consolidate(target)


def is_listed(target: LabelTarget) -> bool:
    """Whether the labels stand in the list of their store."""
    labels = attributes_of(open_group(joined(target.store, "labels")))
    return target.name in _names(labels.get("ome", labels))


def _list_labels(target: LabelTarget) -> None:
    """Append the name to the list of labels; what others wrote there stays."""
    place = joined(target.store, "labels")
    if target.version == "0.4":
        group = to_bytes({"zarr_format": 2})
        change_document(target.store, "labels/.zgroup", lambda held: group if held is None else None)
        change_document(
            target.store, "labels/.zattrs", lambda held: to_bytes(_with_name(read_json(held, place), target.name))
        )
        return

    def add(held: bytes | None) -> bytes | None:
        document = {**GROUP, **read_json(held, place)}
        attributes = dict(document["attributes"])
        ome = _with_name(attributes.get("ome", {}), target.name)
        # Some writers forget the version, which validators then miss.
        attributes["ome"] = {**ome, "version": ome.get("version", target.version), "labels": ome["labels"]}
        return to_bytes({**document, "attributes": attributes})

    change_document(target.store, "labels/zarr.json", add)


def _with_name(ome: dict[str, Any], name: str) -> dict[str, Any]:
    names = _names(ome)
    return {**ome, "labels": names if name in names else [*names, name]}


def _names(ome: dict[str, Any]) -> list[str]:
    listed = ome.get("labels", [])
    return [n for n in listed if isinstance(n, str)] if isinstance(listed, list) else []


def _show_in_root(target: LabelTarget) -> None:
    """Let the root of a store of labels show its first labels as a label image, so that any path into it opens."""
    theirs = attributes_of(open_group(target.home))["ome"]
    prefix = f"labels/{target.name}/"
    multiscale = dict(theirs["multiscales"][0])
    multiscale["datasets"] = [{**d, "path": prefix + d["path"]} for d in multiscale["datasets"]]
    shown = {"multiscales": [multiscale], "image-label": {"version": target.version}}

    def show(held: bytes | None) -> bytes | None:
        document = {**GROUP, **read_json(held, target.store)}
        attributes = document["attributes"]
        ome = attributes.get("ome", {})
        paths = [str(d["path"]) for m in ome.get("multiscales", []) for d in m["datasets"]]
        if any(not path.startswith(prefix) for path in paths):
            return None
        return to_bytes({**document, "attributes": {**attributes, "ome": {**ome, **shown}}})

    change_document(target.store, "zarr.json", show)


def _consolidate(target: LabelTarget) -> None:
    """Make the root's consolidated metadata anew, if it has any, so that they do not hide the labels."""
    name = "zarr.json" if target.version != "0.4" else ".zmetadata"

    def consolidate(held: bytes | None) -> bytes | None:
        document = read_json(held, joined(target.store, name))
        if document.get("consolidated_metadata" if name == "zarr.json" else "metadata") is None:
            return None
        return _consolidated(target.store, name)

    change_document(target.store, name, consolidate)


def _consolidated(store: str, name: str) -> bytes:
    """The document `name` of the root of `store` with the metadata of all that lies below it, by zarr itself.

    Hidden groups are labels of runs that go on: they are left out.
    """
    zarr_format: Literal[2, 3] = 3 if name == "zarr.json" else 2
    caught = _Caught(open_store(store, writing=True))
    with warnings.catch_warnings():
        # zarr warns of our side files, and that format 3 says nothing of it yet: the store's owner chose it.
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(caught, zarr_format=zarr_format)
    document = json.loads(caught.documents[name])
    held = document["consolidated_metadata"] if zarr_format == 3 else document
    held["metadata"] = {path: about for path, about in held["metadata"].items() if not _is_hidden(path)}
    return to_bytes(document)


def _is_hidden(path: str) -> bool:
    """Whether a group on the way to a node, or of format 3 the node itself, has a hidden name.

    >>> _is_hidden("labels/.cells.building/0/.zarray"), _is_hidden("labels/cells/.zattrs"), _is_hidden("labels/.a")
    (True, False, True)
    """
    *groups, last = path.split("/")
    own = last in (".zarray", ".zattrs", ".zgroup")
    return any(part.startswith(".") for part in (groups if own else [*groups, last]))


class _Caught(WrapperStore[Any]):
    """A store that keeps what is written to it to itself."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.documents: dict[str, bytes] = {}

    async def set(self, key: str, value: Buffer) -> None:
        self.documents[key] = value.to_bytes()
