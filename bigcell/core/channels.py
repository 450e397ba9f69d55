"""Channels of an image, asked for by number from 0 or by name."""

from __future__ import annotations

from collections.abc import Sequence

from bigcell.core.errors import InputError


def listed(known: Sequence[str]) -> str:
    """The channels `known` by number and name, for messages.

    >>> listed(("DAPI", "actin"))
    '0: DAPI, 1: actin'
    """
    return ", ".join(f"{i}: {name}" for i, name in enumerate(known))


def find_channels(known: Sequence[str], wanted: Sequence[int | str], image: str) -> tuple[int, ...]:
    """The numbers of the channels `wanted` of an `image` that has those `known`.

    Raises InputError, naming the image, for one that is not there or whose name is that of several.

    >>> find_channels(("DAPI", "actin"), ["actin", 0], "a.zarr")
    (1, 0)
    """
    places = [[i for i, name in enumerate(known) if each in (i, name)] for each in wanted]
    for each, found in zip(wanted, places, strict=True):
        if len(found) != 1:
            problem = "fits more than one" if found else "is not there"
            raise InputError(f"{image}: channel {each!r} {problem}; the image has {listed(known)}")
    return tuple(found[0] for found in places)
