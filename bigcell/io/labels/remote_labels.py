"""Labels in object stores, which cannot rename: chunks go to their final place, the group's metadata goes there last.

Until then its metadata stand in a group without arrays, ``labels/.NAME.building``. A run that was cut off so leaves no
group at ``labels/NAME``, and labels that are to be replaced stay whole until one request puts the new group's metadata
in place of theirs: the new levels lie in a folder of their own (``v2/0``, ``v2/1``, ...), and the old ones go last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import zarr

from bigcell.core.errors import InputError, OutputError
from bigcell.core.format import command
from bigcell.io.stores.location import attributes_of, group_is_there, ome_of, open_group, open_store, read_bytes
from bigcell.io.stores.remote import (
    WRITABLE,
    anything_below,
    explain,
    is_remote_error,
    remove_below,
    upload,
)
from bigcell.io.stores.urls import joined, without_credentials

PUBLISHING = "publishing"
"""An attribute of the group being built: what stands at the final place may be of this run."""


LEFT = r"labels/\.[^/]+\.(lease|lease-probe/now|writable/here)"
"""Objects of drivers that were killed before they wrote anything."""


def home_of(store: str, name: str) -> str:
    """Where the labels `name` will be found."""
    return joined(store, "labels", name)


def pending_of(store: str, name: str) -> str:
    """Where the metadata of labels wait until all their chunks stand."""
    return joined(store, "labels", f".{name}.building")


def settle_prefix(store: str, name: str, *, overwrite: bool) -> str:
    """The folder in ``labels/name`` for the levels of a new run: none, but where labels are to be replaced.

    OutputError where labels of that name are there, or are being made, and may not be replaced.
    """
    home = home_of(store, name)
    if not overwrite:
        if group_is_there(home):
            raise OutputError(f"{home} exists already; choose another name, or allow overwriting")
        if group_is_there(pending_of(store, name)):
            raise OutputError(
                f"{home} is being made by a run that has not finished: continue it with "
                f"`{command('resume', store, labels=name)}`, "
                "with --work where that run had it, or start over with --overwrite"
            )
        return ""
    if not group_is_there(home):
        return ""
    multiscales = ome_of(attributes_of(open_group(home))).get("multiscales", [{}])
    paths = [str(d.get("path", "")) for d in multiscales[0].get("datasets", [])]
    found = [int(m[1]) for p in paths if (m := re.match(r"v(\d{1,9})/", p))]
    return f"v{max(found, default=1) + 1}"


def check_scheme(store: str) -> None:
    """OutputError where nothing can be written to such a URL at all."""
    if urlsplit(store).scheme not in WRITABLE:
        raise OutputError(
            f"labels cannot be written to the URL {without_credentials(store)}; give a local path, s3:// or gs://"
        )


def check_writable(store: str, name: str) -> None:
    """Put an empty object beside the labels and take it away, or an OutputError: now rather than after hours."""
    with refusals(store):
        place = joined(store, "labels", f".{name}.writable")
        upload(b"", joined(place, "here"))
        remove_below(place)


def is_empty(store: str) -> bool:
    """Whether nothing lies at or below `store`, but what drivers leave that were killed before they wrote anything."""
    with refusals(store):
        return not anything_below(store, but=LEFT)


def begin(store: str, name: str, prefix: str, zarr_format: Any) -> None:
    """Remove what a run that was cut off left where the new levels go."""
    home = home_of(store, name)
    if not prefix and group_is_there(home):
        raise OutputError(f"{home} appeared since the run was planned; choose another name, or allow overwriting")
    with refusals(store):
        remove_below(pending_of(store, name))
        remove_below(joined(home, prefix) if prefix else home)
        if prefix:  # format 3 wants a group at every step of a path
            zarr.create_group(open_store(joined(home, prefix), writing=True), zarr_format=zarr_format)


def abandon(store: str, name: str, prefix: str) -> None:
    """Remove what was built so far; labels that stand stay."""
    with refusals(store):
        remove_below(pending_of(store, name))
        if prefix or not group_is_there(home_of(store, name)):
            remove_below(joined(home_of(store, name), prefix) if prefix else home_of(store, name))


def settle(
    store: str, name: str, prefix: str, *, overwrite: bool, attributes: Mapping[str, Any], files: Mapping[str, Path]
) -> None:
    """Side files, then the group's metadata in one request, then what it replaced goes. May be done again."""
    home, pending = home_of(store, name), pending_of(store, name)
    with refusals(store):
        if not group_is_there(pending):
            if not group_is_there(home):
                raise OutputError(f"there are no labels at {home} to publish; run the segmentation again")
            return
        group = zarr.open_group(open_store(pending, writing=True), mode="r+", use_consolidated=False)
        if not overwrite and PUBLISHING not in group.attrs and group_is_there(home):
            raise OutputError(f"{home} appeared while the labels were made; choose another name, or allow overwriting")
        uploads = _with_contents(files)
        _upload_all(home, uploads)
        group.attrs.update({**attributes, PUBLISHING: True})
        _copy_group(pending, home)
        _clean_up(home, pending, prefix, tuple(uploads))


def _with_contents(files: Mapping[str, Path]) -> dict[str, Path]:
    """`files` with what is in folders in the place of those."""
    uploads = {name: source for name, source in files.items() if not source.is_dir()}
    for name, source in files.items():
        if source.is_dir():
            uploads |= {f"{name}/{part.name}": part for part in sorted(source.iterdir())}
    return uploads


def _upload_all(home: str, files: Mapping[str, Path]) -> None:
    for name, source in files.items():
        if source.exists():
            upload(source, joined(home, name))
        elif read_bytes(joined(home, name)) is None:
            raise OutputError(f"{source} is missing and was to be kept with the labels; run the last step again")


def _clean_up(home: str, pending: str, prefix: str, files: tuple[str, ...]) -> None:
    """What was replaced goes, and last the sign that this is still to be done."""
    if prefix:
        remove_below(home, keep=("zarr.json", ".zattrs", ".zgroup", f"{prefix}/", *files))
    remove_below(pending)


def _copy_group(pending: str, home: str) -> None:
    """The last document makes it a group, or names other levels: a reader sees all that was before it, or nothing."""
    for name in (".zattrs", "zarr.json", ".zgroup"):  # a store has the first and the last, or the one between
        held = read_bytes(joined(pending, name))
        if held is not None:
            document = json.loads(held)
            document.get("attributes", document).pop(PUBLISHING, None)
            upload(json.dumps(document, indent=2).encode(), joined(home, name))


@contextmanager
def refusals(store: str) -> Iterator[None]:
    """A server's refusal becomes one sentence."""
    try:
        yield
    except InputError as error:
        raise OutputError(str(error)) from error
    except Exception as error:
        if not is_remote_error(error):
            raise
        raise OutputError(f"{without_credentials(store)} cannot be written: {explain(error)}") from error
