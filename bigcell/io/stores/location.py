"""Where a store lies: local paths and URLs, opened for reading, with one clear sentence when that fails."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import zarr
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.errors import ContainsArrayError, GroupNotFoundError
from zarr.storage import LocalStore

from bigcell.core.documents import object_or_empty
from bigcell.core.errors import InputError
from bigcell.core.format import command
from bigcell.core.paths import local_path
from bigcell.io.stores.urls import is_url, joined, without_credentials
from bigcell.io.stores.zip_store import bytes_in_zip, is_group_in_zip, split_zip, zip_store

CONVERTIBLE = {".tif", ".tiff", ".lsm", ".stk", ".png", ".jpg", ".jpeg", ".bmp", ".npy"}
"""Endings of the files that `bigcell convert` reads."""


def open_store(source: str, *, writing: bool = False, patient: bool = True) -> Store:
    """A store over `source` (as `absolute` gives it); InputError where its protocol cannot be spoken.

    `patient`: whether requests that fail are made again for minutes (while a run goes on) or for seconds (at first).
    """
    if not is_url(source):
        return LocalStore(source, read_only=not writing)
    shown = without_credentials(source)
    if urlsplit(source).query or urlsplit(source).fragment:
        raise InputError(
            f"{shown} was given with a query (?...) or a fragment (#...), which the addresses of its chunks "
            "cannot carry; give a URL without one, or copy the image to disk"
        )
    from bigcell.io.stores.remote import zarr_store

    try:
        return zarr_store(source, read_only=not writing, patient=patient)
    except ImportError as error:
        raise InputError(
            f"{shown} needs a package that is not installed ({error}); pip install 'bigcell[s3]'"
        ) from error
    except InputError:
        raise
    except Exception as error:  # obstore refuses settings and addresses with errors of its own
        raise InputError(
            f"{shown} cannot be opened ({_first_line(error)}); check the address and the settings in the environment"
        ) from error


def open_group(source: str, *, patient: bool = False) -> zarr.Group:
    """The zarr group at `source`, read-only; one InputError for each way in which there is none."""
    zipped = split_zip(source)
    if not is_url(source) and zipped is None:
        _check_local(Path(source))
    try:
        if zipped is None:
            _ask_first(source, patient=patient)
        store, path = (
            (zip_store(zipped[0], patient=patient), zipped[1]) if zipped else (open_store(source, patient=patient), "")
        )
        # Consolidated metadata may be older than the store (labels added since), so each node is asked itself.
        return zarr.open_group(store, path=path, mode="r", use_consolidated=False)
    except InputError:
        raise
    except (GroupNotFoundError, ContainsArrayError, FileNotFoundError) as error:
        raise InputError(_why_no_group(source)) from error
    except Exception as error:  # each remote file system has errors of its own, and bad JSON raises anything
        raise InputError(_why_not_opened(source, error)) from error


def group_is_there(source: str) -> bool:
    """Whether a zarr group stands at `source`; InputError where that cannot be found out."""
    if zipped := split_zip(source):
        return is_group_in_zip(*zipped)
    if not is_url(source):
        return any((Path(source) / name).exists() for name in ("zarr.json", ".zgroup"))
    try:
        _ask_first(source, patient=False)
        zarr.open_group(open_store(source, patient=False), mode="r", use_consolidated=False)
    except (GroupNotFoundError, ContainsArrayError, FileNotFoundError):
        return False
    except InputError:
        raise
    except Exception as error:
        raise InputError(_why_not_opened(source, error)) from error
    return True


def read_bytes(place: str) -> bytes | None:
    """The file or object at `place`; None where there is none."""
    if zipped := split_zip(place):
        return bytes_in_zip(*zipped)
    if is_url(place):
        from bigcell.io.stores.remote import fetch

        try:
            return fetch(place)
        except InputError:
            raise
        except Exception as error:
            raise InputError(_why_not_opened(place, error)) from error
    try:
        return local_path(place).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{place} cannot be read ({error.strerror}); wanted a file that is yours to read") from error


def metadata_digest(group: zarr.Group, path: str) -> str:
    """sha256 of the metadata document of the array at `path`, byte by byte as it is stored."""
    return sha256(_document(group, path)).hexdigest()


def metadata_of(group: zarr.Group, path: str) -> dict[str, Any]:
    """The metadata document of the array at `path` as it is stored, empty where there is none that can be read."""
    try:
        found = json.loads(_document(group, path))  # not by core/documents: a fill value may be NaN
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _document(group: zarr.Group, path: str) -> bytes:
    name = "zarr.json" if group.metadata.zarr_format == 3 else ".zarray"
    key = "/".join(part for part in (group.path, path, name) if part)
    found = sync(group.store.get(key, default_buffer_prototype()))
    return found.to_bytes() if found is not None else b""


def attributes_of(group: zarr.Group) -> dict[str, Any]:
    """The attributes of `group` as plain JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(group.attrs.asdict()))
    return plain


def ome_of(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The OME part of a group's attributes: under ``ome`` since 0.5, at the top before."""
    ome = attributes.get("ome", attributes)
    return ome if isinstance(ome, Mapping) else {}


def _ask_first(source: str, *, patient: bool) -> None:
    """One request before zarr makes several at once, of whose failures all but one would be printed by asyncio."""
    if is_url(source):
        from bigcell.io.stores.remote import fetch

        open_store(source)  # tells of addresses that are none
        fetch(joined(source, "zarr.json"), patient=patient)


def _check_local(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    if path.is_file():
        raise InputError(f"{path} is a file, wanted an OME-Zarr folder; {how_to_make_zarr(path)}")


def _why_no_group(source: str) -> str:
    shown = without_credentials(source)
    if zipped := split_zip(source):
        return _why_not_in_zip(shown, *zipped)
    if is_url(source):
        return _no_bucket(source) or (
            f"there is no zarr group at {shown} (no zarr.json and no .zgroup); check the address"
        )
    path = Path(source)
    if (path / ".zarray").exists() or _node_type(path) == "array":
        return f"{shown} is a bare zarr array, wanted an OME-Zarr group with multiscales; {_array_hint(path)}"
    if any(child.suffix.lower() in CONVERTIBLE for child in path.iterdir()):
        return f"{shown} is a folder of image files, wanted OME-Zarr; {how_to_make_zarr(path)}"
    return f"{shown} is a folder without zarr metadata (no zarr.json, no .zgroup); give the folder that has it"


def _why_not_in_zip(shown: str, archive: str, inside: str) -> str:
    try:
        found = [] if inside else zip_store(archive).folders()
    except FileNotFoundError:
        return f"there is nothing at {shown}; check the address"
    hint = f"there is one in it: {shown}/{found[0]}" if found else "give a zip that holds an OME-Zarr, or a path in it"
    return f"there is no zarr group at {shown} (no zarr.json and no .zgroup); {hint}"


def _array_hint(path: Path) -> str:
    parent = path.parent
    if (parent / ".zgroup").exists() or _node_type(parent) == "group":
        return f"try its parent {parent}, with the level as an option"
    return "give the array itself in Python (zarr.open_array), to `segment` or to `convert`"


def _node_type(path: Path) -> object:
    return object_or_empty(path / "zarr.json").get("node_type")


def _no_bucket(source: str) -> str:
    """What is wrong with the bucket of `source`: objects that are missing look the same in one that is not there."""
    from bigcell.io.stores.remote import WRITABLE, anything_below, explain, is_bucket_missing

    if urlsplit(source).scheme not in WRITABLE:
        return ""
    try:
        anything_below(source)
    except Exception as error:
        if is_bucket_missing(error):
            return f"{without_credentials(source)} cannot be opened as zarr: {explain(error)}"
    return ""


def _why_not_opened(source: str, error: Exception) -> str:
    shown = without_credentials(source)
    if is_url(source):
        from bigcell.io.stores.remote import explain, is_remote_error

        if is_remote_error(error):
            said = explain(error)
            hint = "; for a public bucket set AWS_NO_SIGN_REQUEST=true" if source.startswith("s3://") else ""
            if source.startswith("http") and "access is refused" in said:
                hint = "; a password for this host is taken from ~/.netrc"
            return f"{shown} cannot be opened as zarr: {said}{hint}"
    return f"{shown} cannot be opened as zarr ({_first_line(error)}); check the address, the permissions and the file"


def how_to_make_zarr(path: Path) -> str:
    """What turns `path`, a file or a folder of planes, into OME-Zarr.

    >>> how_to_make_zarr(Path("a.tif"))
    'turn it into one with `bigcell convert a.tif a.zarr`'
    >>> how_to_make_zarr(Path("a.czi")).partition(":")[0]
    'bigcell cannot read .czi'
    """
    if path.is_dir() or path.suffix.lower() in CONVERTIBLE:
        return f"turn it into one with `{command('convert', path, path.with_suffix('.zarr'))}`"
    kind = path.suffix[:20] or "such files"
    return (
        f"bigcell cannot read {kind}: make an OME-Zarr or TIFF of it with the program that wrote it, with Fiji, or "
        "with bioformats2raw"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
