"""Names in stores: which text may be one, when two spellings are the same one, and which channels are meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from unicodedata import category, normalize

from bigcell.core.errors import InputError
from bigcell.core.paths import LONGEST


def composed(name: str) -> str:
    """`name` as it is written down: accents are part of their letters, however they were typed.

    >>> composed("ce\\u0301lulas") == "c\\u00e9lulas"
    True
    """
    return normalize("NFC", name)


def find_name(wanted: str, names: Iterable[str]) -> str | None:
    """Which of `names` is `wanted`, in its own spelling; None where there is none."""
    known = list(names)
    alike = [name for name in known if composed(name) == composed(wanted)]
    return wanted if wanted in known else next(iter(alike), None)


def is_part(name: object) -> bool:
    """Whether `name` can be one part of a path below another: no separator, no way up, no unprintable character.

    >>> is_part("0"), is_part("a/b"), is_part("a\\\\b"), is_part(".."), is_part(3)
    (True, False, False, False, False)
    """
    if not isinstance(name, str) or name in ("", ".", "..") or not name.isprintable():
        return False
    return not set("/\\") & set(name) and len(name.encode("utf-8", "replace")) <= LONGEST


def is_below(path: object) -> bool:
    """Whether `path` stays below where it begins.

    >>> is_below("A/1/0"), is_below("../private.zarr"), is_below("/etc"), is_below("s3://bucket")
    (True, False, False, False)
    """
    return isinstance(path, str) and all(map(is_part, path.split("/"))) and ":" not in path.split("/")[0]


def is_letter(character: str) -> bool:
    """Whether it is a letter, a digit, or a mark that belongs to the letter before it."""
    return category(character)[0] in "LNM"


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
