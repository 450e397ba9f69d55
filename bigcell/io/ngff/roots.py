"""Stores that hold several images: plates, wells, and the roots that bioformats2raw writes. Which images they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from bigcell.core.errors import InputError
from bigcell.core.format import command
from bigcell.core.names import is_below, is_part
from bigcell.io.stores.location import attributes_of, ome_of, open_group
from bigcell.io.stores.urls import joined, without_credentials

SHOWN = 8
"""Images that a sentence names."""
SERIES = "OME"
"""The group in which bioformats2raw lists its images."""


def kind_of(attributes: Mapping[str, Any]) -> str:
    """What a group of several images is, by its `attributes`; "" for anything else."""
    ome = ome_of(attributes)
    if isinstance(ome.get("multiscales"), list):
        return ""
    if isinstance(ome.get("plate"), Mapping):
        return "plate"
    if isinstance(ome.get("well"), Mapping):
        return "well"
    return "collection of images" if "bioformats2raw.layout" in ome else ""


def images_of(source: str) -> Iterator[str]:
    """Paths of the images below the group of several images at `source`, in its order, as far as they are there."""
    attributes = attributes_of(open_group(source))
    ome, kind = ome_of(attributes), kind_of(attributes)
    if kind == "plate":
        for well in _paths(ome["plate"].get("wells")):
            yield from (f"{well}/{image}" for image in _below(joined(source, well)))
    elif kind == "well":
        yield from _paths(ome["well"].get("images"))
    elif kind:
        yield from _series(source)


def why_not_one(source: str, kind: str) -> str:
    """The sentence for a group of several images where one was wanted: which there are, and the line that takes one."""
    shown, found = without_credentials(source), list(islice(images_of(source), SHOWN + 1))
    if not found:
        return f"{shown} is a {kind} without an image that is there; the copy may be incomplete"
    more = f", ... (all: `{command('inspect', shown)}`)" if len(found) > SHOWN else ""
    take = command("inspect", joined(shown, found[0]))
    return f"{shown} is a {kind}, wanted one image of it: {', '.join(found[:SHOWN])}{more}; take one, as in `{take}`"


def _below(source: str) -> list[str]:
    """The images of a well; none if it is not there: a list of wells may name more than were copied."""
    try:
        return list(images_of(source))
    except InputError:
        return []


def _series(source: str) -> Iterator[str]:
    """The images that are listed; where there is no list, those with numbers, from 0 until one is missing."""
    try:
        listed = ome_of(attributes_of(open_group(joined(source, SERIES)))).get("series")
    except InputError:
        listed = None
    if isinstance(listed, list):
        yield from (str(name) for name in listed if is_below(name))
        return
    number = 0
    while _is_image(joined(source, str(number))):
        yield str(number)
        number += 1


def _is_image(source: str) -> bool:
    try:
        return "multiscales" in ome_of(attributes_of(open_group(source)))
    except InputError:
        return False


def _paths(entries: object) -> list[str]:
    """The paths that a list of wells or images gives; those that lead elsewhere are left out."""
    found = [e.get("path") for e in entries if isinstance(e, Mapping)] if isinstance(entries, list) else []
    return [path for path in found if isinstance(path, str) and (is_part(path) or is_below(path))]
