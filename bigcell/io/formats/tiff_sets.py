"""Several TIFF files that are one image (OME-TIFF sets), and the images of a file that are no more than previews."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from bigcell.core.errors import InputError
from bigcell.core.names import is_part

PREVIEWS = {"Thumbnail", "Label", "Macro"}
"""What programs call pictures of the slide beside its image."""


def set_of(path: Path) -> tuple[Path, tuple[str, ...]]:
    """The file whose OME-XML tells of the whole set that the TIFF at `path` is of, and the names of all files in it.

    That is another file where `path` only refers to it. There are no names, or one, for a file that is no set. Raises
    InputError for a name that leads out of the folder.
    """
    root = _ome_root(path)
    only = _reference(root)
    if only is None:
        return path, _names(root, path)
    main = _main_file(path, only)
    root = _ome_root(main)
    if root is None or _reference(root) is not None:
        raise InputError(f"{path} refers to {main.name} for its metadata, which has none; copy the whole set anew")
    return main, _names(root, main)


@contextmanager
def heard_by(handler: logging.Handler) -> Iterator[None]:
    """What tifffile logs goes to `handler` alone."""
    log = logging.getLogger("tifffile")
    log.addHandler(handler)
    propagate, log.propagate = log.propagate, False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagate


def _reference(root: ElementTree.Element | None) -> ElementTree.Element | None:
    """What stands in a file of a set that leaves the metadata to another one."""
    return root.find("{*}BinaryOnly") if root is not None else None


def _main_file(path: Path, only: ElementTree.Element) -> Path:
    """The file that a ``BinaryOnly`` element refers to."""
    name = str(only.get("MetadataFile"))
    main = path.with_name(name) if is_part(name) else None
    if main is None or not main.is_file() or main.suffix.lower() not in (".tif", ".tiff"):
        raise InputError(
            f"{path} is one file of a set, whose metadata are in {name[:200]!r}: wanted that file beside it, a TIFF; "
            "copy the whole set, or save it as one OME-TIFF"
        )
    return main


def _ome_root(path: Path) -> ElementTree.Element | None:
    """The OME-XML in a file, if there is any that can be read."""
    try:
        with heard_by(logging.NullHandler()), tifffile.TiffFile(path) as tif:
            return ElementTree.fromstring(tif.ome_metadata) if tif.ome_metadata else None
    except Exception:  # what is wrong with a file is said where it is opened
        return None


def _names(root: ElementTree.Element | None, path: Path) -> tuple[str, ...]:
    """The names of the files that OME-XML lists, in its order."""
    entries = root.iterfind(".//{*}TiffData/{*}UUID") if root is not None else ()
    names = tuple(dict.fromkeys(name for entry in entries if (name := entry.get("FileName"))))
    for name in names:
        if not is_part(name):
            raise InputError(
                f"{path} names {name[:200]!r} as a part of it, which leads out of its folder; do not trust this file"
            )
    return names


def missing(path: Path, pages: Sequence[Any]) -> str:
    """What a file lacks of the planes that it tells of, and which files those would be in."""
    gone = [name for name in set_of(path)[1] if not path.with_name(name).exists()]
    shown = ", ".join(gone[:3]) + (f" and {len(gone) - 3} more" if len(gone) > 3 else "")
    lacking = f"{path} lacks {sum(p is None for p in pages)} of {len(pages)} planes"
    return f"{lacking}; copy the whole set, under its names: {shown} not there" if gone else f"{lacking}; copy it anew"


def images_of(tif: Any) -> list[int]:
    """The numbers of the series that are images, not previews of one."""
    numbers = range(len(tif.series))
    return [i for i in numbers if tif.series[i].name not in PREVIEWS and not tif.series[i].keyframe.is_reduced]
