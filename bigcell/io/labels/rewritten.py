"""Labels whose metadata cloud-volume wrote anew, as igneous has it do when it plans: how they are known, and mended.

Of format 3 each level then calls itself a group, and the group has the fields of an array; sizes are in nanometers
beside units that say micrometer (a thousand times more with each plan), and every level gets the translation of the
first. Of format 2 chunks and scales have five numbers for fewer axes. Chunks are as they were. Seen with cloud-volume
12.15.2 and igneous 4.37.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bigcell.core.documents import object_or_empty, read_object
from bigcell.core.errors import InputError
from bigcell.core.format import command
from bigcell.io.ngff.layout import Place, dataset_metadata
from bigcell.io.ngff.metadata import parse_multiscale
from bigcell.io.stores.location import attributes_of, open_group
from bigcell.io.stores.shared_documents import change_document, to_bytes
from bigcell.io.stores.urls import is_url
from bigcell.io.stores.zip_store import split_zip

RECORD = "record.json"
AGAIN = f"make them again with `bigcell rerun`, from the {RECORD} beside them"
FIVE = 5
"""Axes that cloud-volume gives everything of format 2."""


def is_rewritten(place: str) -> bool:
    """Whether the group at `place`, on a disk, has metadata as cloud-volume writes them."""
    if is_url(place) or split_zip(place):
        return False
    if modern := object_or_empty(Path(place, "zarr.json")):
        return modern.get("node_type") == "group" and {"shape", "chunk_grid", "codecs"} <= set(modern)
    entry = _entry(object_or_empty(Path(place, ".zattrs")))
    scales = [_first_scale(level) for level in _list(entry.get("datasets"))]
    return bool(scales) and 0 < len(_list(entry.get("axes"))) < FIVE and all(len(scale) == FIVE for scale in scales)


def how_to_mend(place: str) -> str:
    """The sentence for such a group."""
    return (
        f"the metadata of {place} were written anew by cloud-volume, as igneous does when it plans meshes, skeletons "
        "or levels: sizes are lost and no level opens, the voxels are as they were; mend labels with "
        f"`{command('inspect', place)} --mend`, and give igneous a copy"
    )


def mend(place: str) -> None:
    """Give labels that cloud-volume rewrote their metadata again, with the places of their image's levels.

    InputError, and nothing is changed, for anything else, and where neither an image of the same voxels nor the root of
    a store of labels tells the sizes.
    """
    home = Path(place)
    if not is_rewritten(place) or home.parent.name != "labels":
        raise InputError(f"{place} is no labels with metadata of cloud-volume's, wanted such; leave --mend out")
    try:
        documents = _mended(home)
    except (OSError, LookupError, TypeError) as error:
        raise InputError(f"{place} lacks more than igneous takes ({str(error)[:100]}); {AGAIN}") from error
    for name, values in documents.items():  # the group's comes last: until then it is known for what it is
        change_document(str(home.parents[1]), f"labels/{home.name}/{name}", partial(_instead, values))


def _instead(values: dict[str, Any], held: bytes | None) -> bytes:
    return to_bytes(values)


def _mended(home: Path) -> dict[str, dict[str, Any]]:
    """The documents of the labels at `home`, by name, as they should be."""
    modern = (home / "zarr.json").exists()
    group, level = ("zarr.json", "zarr.json") if modern else (".zattrs", ".zarray")
    held = read_object(home / group)
    entry = _entry(held["attributes"]["ome"] if modern else held)
    arrays = {f"{k}/{level}": read_object(home / str(k) / level) for k in range(len(_list(entry.get("datasets"))))}
    axes, shapes = [a["name"] for a in entry["axes"]], [array["shape"] for array in arrays.values()]
    places = _places(home.parents[1], axes, shapes, level)
    entry["datasets"] = [dataset_metadata(str(k), at) for k, at in enumerate(places)]
    documents = {name: _array(document, modern=modern) for name, document in arrays.items()}
    return {**documents, group: _group(held, object_or_empty(home / RECORD)) if modern else held}


def _array(document: dict[str, Any], *, modern: bool) -> dict[str, Any]:
    if modern:
        return {**document, "node_type": "array"}
    return {**document, "chunks": document["chunks"][-len(document["shape"]) :]}


def _group(held: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """The group's document without the fields of an array, and with the record that was beside ``ome``."""
    ours = {"bigcell": record} if record else {}
    return {"attributes": {**held["attributes"], **ours}, "zarr_format": 3, "node_type": "group"}


def _places(store: Path, axes: Sequence[str], shapes: Sequence[Sequence[int]], level: str) -> list[Place]:
    """Where levels of these `shapes` lie, as the image or the root of the labels at `store` has it."""
    found = parse_multiscale(attributes_of(open_group(str(store))), source=str(store))
    kept = [i for i, axis in enumerate(found.axes) if axis.name != "c"]
    theirs = [read_object(store / path / level)["shape"] for path, _, _ in found.datasets]
    same = [found.axes[i].name for i in kept] == list(axes)
    if not same or [[shape[i] for i in kept] for shape in theirs] != [list(shape) for shape in shapes]:
        raise InputError(f"the sizes of the labels are lost, and {store} is no image of the same voxels; {AGAIN}")
    return [Place(*(tuple(n[i] for i in kept) for n in place)) for _, *place in found.datasets]


def _entry(ome: Any) -> dict[str, Any]:
    entries = _list(ome.get("multiscales")) if isinstance(ome, dict) else []
    return entries[0] if entries and isinstance(entries[0], dict) else {}


def _first_scale(level: Any) -> list[Any]:
    steps = _list(level.get("coordinateTransformations")) if isinstance(level, dict) else []
    return _list(steps[0].get("scale")) if steps and isinstance(steps[0], dict) else []


def _list(values: Any) -> list[Any]:
    return values if isinstance(values, list) else []
