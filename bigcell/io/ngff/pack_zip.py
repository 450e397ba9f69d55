"""Writing an OME-Zarr as one file, a zip (``.ozx``), as RFC-9 of OME-NGFF recommends it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copyfileobj

from bigcell.core.errors import OutputError
from bigcell.core.paths import local_path
from bigcell.io.atomic import whole_file
from bigcell.io.stores.staged_folder import building_place, remove_tree
from bigcell.io.stores.urls import is_url, without_credentials
from bigcell.io.stores.zip_store import ENDINGS

VERSION = "0.5"
"""Of OME-Zarr: the first one that may be zipped, and the one that we write."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of all entries, so that the same image gives the same bytes."""


def is_zip_place(output: str | Path) -> bool:
    """Whether something written to `output` is to be a zip."""
    return str(output).lower().endswith(ENDINGS)


def write_zip(
    output: str | Path, write: Callable[[Path], object], *, whole: Path | None = None, overwrite: bool = False
) -> Path:
    """The zip `output` of the OME-Zarr in `whole`, or else of the one that `write` makes at the path it is given."""
    final = check_zip_place(output, overwrite=overwrite)
    if whole is not None:
        pack(whole, final)
        return final
    building = building_place(final)
    remove_tree(building)
    building.mkdir()
    try:
        write(building / f"{final.stem}.zarr")
        pack(building / f"{final.stem}.zarr", final)
    finally:
        remove_tree(building)
    return final


def check_zip_place(output: str | Path, *, overwrite: bool) -> Path:
    """`output` as the place of a new zip, or an OutputError. Writes nothing."""
    if is_url(output):
        raise OutputError(
            f"a zip cannot be written to the URL {without_credentials(str(output))}; give a local path, then upload"
        )
    final = local_path(output).absolute()
    if final.exists() and not overwrite:
        raise OutputError(f"{final} exists already; give another path, or allow overwriting")
    if final.exists() and not (final.is_file() and zipfile.is_zipfile(final)):
        raise OutputError(f"{final} is not a zip, so it will not be overwritten; give another path")
    if not final.parent.is_dir():
        raise OutputError(f"{final.parent} is not a folder; make it first")
    return final


def pack(folder: Path, final: Path) -> None:
    """Put the OME-Zarr in `folder` into the zip `final`, which has that name once it is whole.

    Documents come first, those near the root before those below; nothing is compressed again; every entry may pass
    4 GiB. Hidden files are left out, and so are links.
    """
    with whole_file(final) as fresh, zipfile.ZipFile(fresh, "w", zipfile.ZIP_STORED) as archive:
        for file in _ordered(folder):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EPOCH)
            entry.external_attr = 0o644 << 16
            with file.open("rb") as held, archive.open(entry, "w", force_zip64=True) as into:
                copyfileobj(held, into, 2**20)
        about = {"version": VERSION, "zipFile": {"centralDirectory": {"jsonFirst": True}}}
        archive.comment = json.dumps({"ome": about}).encode()


def _ordered(folder: Path) -> list[Path]:
    files = list(_files(folder))
    documents = sorted((p for p in files if p.name == "zarr.json"), key=lambda p: (len(p.parts), p))
    return documents + sorted(p for p in files if p.name != "zarr.json")


def _files(folder: Path) -> Iterator[Path]:
    for child in folder.iterdir():
        if child.name.startswith(".") or child.is_symlink():
            continue
        if child.is_dir():
            yield from _files(child)
        else:
            yield child
