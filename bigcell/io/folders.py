"""Stores that are built beside their place and then take it whole: may one go here, and giving it its name."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from bigcell.core.errors import OutputError
from bigcell.core.paths import LONGEST
from bigcell.io.location import absolute, group_is_there, is_url, without_credentials


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


def put_in_place(building: Path, final: Path) -> None:
    """building -> final. What was there steps aside first, and goes only when the new store stands."""
    old = retired_place(final)
    shutil.rmtree(old, ignore_errors=True)
    _sweep(building)
    if final.exists():
        final.rename(old)
    building.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def bring_folder(source: Path, place: Path) -> None:
    """Move a folder of files to `place`, where it appears at once: a folder that is there is whole, and stays."""
    if not place.exists():
        try:
            source.rename(place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            fresh = place.with_name(f".{place.name}.coming")
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(source, fresh)
            fresh.rename(place)
    shutil.rmtree(source, ignore_errors=True)


def _sweep(building: Path) -> None:
    """Take away what zarr left of writes that a kill cut off: files take their names when they are whole."""
    for left in building.rglob("*.partial"):
        left.unlink(missing_ok=True)
