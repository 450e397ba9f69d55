"""Paths as people give them: ``~`` resolved, and what no file system could hold refused in one sentence."""

from __future__ import annotations

import re
from pathlib import Path

from bigcell.core.errors import InputError

LONGEST = 255
"""Bytes of one name, on every file system that we know."""
WHOLE = 4095
"""Bytes of a whole path."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def local_path(given: str | Path) -> Path:
    """`given` as a path on this machine, or an InputError for one that cannot be. Touches no file.

    >>> local_path("file:///data/brain.zarr")
    PosixPath('/data/brain.zarr')
    """
    text = str(given).removeprefix("file://")
    _check(text)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        user = text.partition("/")[0]
        raise InputError(
            f"{text}: there is no user {user[1:]!r} here; write ./{user} for a folder of that name"
        ) from error


def resolved(path: Path) -> Path:
    """`path` absolute and without links; InputError where links go round in a circle."""
    text = f"{path} is a circle of links; give the file or folder itself"
    try:
        found = path.resolve()
    except (OSError, RuntimeError) as error:  # the latter before Python 3.13
        raise InputError(text) from error
    if any(part.is_symlink() for part in (found, *found.parents)):  # Python 3.13 gives a circle back as it stands
        raise InputError(text)
    return found


def _check(text: str) -> None:
    """Raise InputError for text that names no path."""
    if not text.strip():
        raise InputError(f"the path {text!r} is empty; give the path of a file or folder")
    if "\0" in text:
        raise InputError(f"the path {text!r} holds a null byte, which no path can; check what made it")
    try:
        whole = text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the path {text!a} is not UTF-8, which Zarr cannot name; give it another name") from error
    longest = max(map(len, whole.split(b"/")))
    if longest > LONGEST:
        raise InputError(f"a part of {text[:40]}... has {longest} bytes, wanted at most {LONGEST}; shorten it")
    if len(whole) > WHOLE:
        raise InputError(f"the path {text[:40]}... has {len(whole)} bytes, wanted at most {WHOLE}; shorten it")
    if _SCHEME.match(text):
        raise InputError(
            f"{text} is no path on this machine, nor a whole address; wanted a path, or one like s3://bucket/name.zarr "
            f"(write ./{text} for a folder of that name)"
        )
