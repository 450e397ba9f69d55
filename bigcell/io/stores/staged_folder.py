"""Stores that are built beside their place and then take it whole: may one go here, and giving it its name.

A store under construction lies at `building_place`. When it is whole it gets a mark, a hidden file, and takes its name.
The mark goes with it, so whoever comes after a crash can tell by the marks which of the two stands where:

1. the mark is in the building place: it is whole and has not taken its name;
2. the mark is at the final place: it has its name, and what it replaced, wherever it lies, is still to be removed;
3. there is no mark: the store is not whole, or all is done.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from pathlib import Path

from bigcell.core.errors import OutputError
from bigcell.core.paths import LONGEST
from bigcell.io.atomic import coming
from bigcell.io.stores.location import group_is_there
from bigcell.io.stores.urls import absolute, is_url, without_credentials

MARK = ".complete"
"""The hidden file that goes with a store from being whole until everything about its name is settled."""


def check_place(path: str | Path, what: str, *, overwrite: bool) -> Path:
    """`path` as a place for a new zarr group of `what` ("images"), or an OutputError. Writes nothing."""
    if is_url(path):
        raise OutputError(
            f"{what} cannot be written to the URL {without_credentials(str(path))}; give a local path, then upload"
        )
    final = Path(absolute(path))
    if final.exists() and not overwrite:
        raise OutputError(f"{final} exists already; give another path for the {what}, or allow overwriting")
    if final.exists() and not group_is_there(str(final)):
        raise OutputError(f"{final} is not a zarr group, so it will not be overwritten; give another path")
    if not final.parent.is_dir():
        raise OutputError(f"{final.parent} is not a folder; make it first")
    if len(building_place(final).name.encode()) > LONGEST:
        raise OutputError(f"{final.name[:40]}... leaves no room for names beside it while it is made; shorten it")
    return final


def building_place(final: Path) -> Path:
    """Where a store is written until it is whole: beside its place, so that renaming is enough."""
    return final.with_name(f".{final.name}.building")


def retired_place(final: Path) -> Path:
    """Where what is about to be replaced waits until the new store stands."""
    return final.with_name(f".{final.name}.old")


def is_marked(folder: Path) -> bool:
    """Whether a store is whole and the steps that give it its name are not finished."""
    return not folder.is_symlink() and (folder / MARK).is_file()


def take_name(building: Path, final: Path) -> None:
    """Give the whole store at `building` the place `final`. What was there stays until then, and is removed after it.

    Where the file system can exchange two names, one of the two stores has the name at any moment; elsewhere there is a
    moment between two renames at which none has. May be done again after a crash at any point; `unmark` ends it.
    """
    if not is_marked(building) and (is_marked(final) or (final.exists() and not building.exists())):
        _remove_replaced(building, final)  # an earlier driver came this far, or to the end
        return
    _sweep(building)
    if not is_marked(building):
        unmark(final)
        (building / MARK).touch()
    old = retired_place(final)
    if os.path.lexists(final) and not exchange(building, final):
        remove_tree(old)
        final.rename(old)
    if is_marked(building):
        building.rename(final)
    _remove_replaced(building, final)


def unmark(final: Path) -> None:
    """Say that all that follows from the name is done, or that what stands there is of an earlier run."""
    if is_marked(final):
        (final / MARK).unlink(missing_ok=True)


def put_in_place(building: Path, final: Path) -> None:
    """building -> final, for a store of which nobody else needs to know."""
    take_name(building, final)
    unmark(final)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step. False, and nothing is done, where system or file system cannot do that."""
    sys.audit("os.rename", str(one), str(other), -1, -1)
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):  # Linux: AT_FDCWD, RENAME_EXCHANGE
        failed = library.renameat2(-100, names[0], -100, names[1], 2)
    elif hasattr(library, "renamex_np"):  # macOS: RENAME_SWAP
        failed = library.renamex_np(names[0], names[1], 2)
    else:
        return False
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))


def remove_tree(path: Path) -> None:
    """Remove a folder with all that is in it, or a link to one but not what it points to. Nothing there is no error."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        if os.path.lexists(path):  # another process removes it too
            shutil.rmtree(path, ignore_errors=True)


def bring_folder(source: Path, place: Path) -> None:
    """Move a folder of files to `place`, where it appears at once: a folder that is there is whole, and stays."""
    if not place.exists():
        try:
            source.rename(place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            fresh = coming(place)
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(source, fresh)
            fresh.rename(place)
    shutil.rmtree(source, ignore_errors=True)


def _remove_replaced(building: Path, final: Path) -> None:
    remove_tree(building)
    remove_tree(retired_place(final))


def _sweep(building: Path) -> None:
    """Take away what zarr left of writes that a kill cut off: files take their names when they are whole."""
    for left in building.rglob("*.partial"):
        left.unlink(missing_ok=True)
