"""Places as text: local paths and URLs, made absolute, joined, and shown without the credentials in them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

from bigcell.core.errors import InputError
from bigcell.core.paths import WHOLE, local_path, resolved


def is_url(source: str | Path) -> bool:
    """Whether `source` lies elsewhere: ``s3://...``, ``https://...``. ``file://`` counts as local."""
    return "://" in str(source) and not str(source).startswith("file://")


def absolute(source: str | Path) -> str:
    """`source` as an absolute path or a URL, without a trailing slash."""
    text = str(source)
    if is_url(text):
        return _checked_url(text)
    return str(resolved(local_path(text)))


def _checked_url(text: str) -> str:
    """`text` without a trailing slash, if it names a place: a bucket or a server, of characters that travel."""
    shown = without_credentials(text)
    if not text.isprintable():
        raise InputError(f"the address {shown!a} holds characters that no address has; check what made it")
    place = _split(text)
    if not place.scheme or not place.netloc.rpartition("@")[2] or len(text) > WHOLE:
        raise InputError(f"{shown[:100]} names no place; wanted an address like s3://bucket/name.zarr, or a path")
    return text.rstrip("/")


def without_credentials(source: str) -> str:
    """`source` as it may be shown and kept: no user, password, query or fragment.

    >>> without_credentials("https://me:secret@host/a.zarr?token=1")
    'https://host/a.zarr'
    """
    if not is_url(source):
        return source
    parts = _split(source)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _split(source: str) -> SplitResult:
    try:
        return urlsplit(source)
    except ValueError as error:
        scheme = source.partition(":")[0]
        raise InputError(
            f"an address that begins with {scheme}: cannot be read ({error}); wanted host or bucket, and path"
        ) from error


def joined(place: str | Path, *parts: str) -> str:
    """`parts` below `place`, a path or a URL.

    >>> joined("s3://bucket/a.zarr/", "labels", "cells")
    's3://bucket/a.zarr/labels/cells'
    """
    if is_url(place):
        return "/".join([str(place).rstrip("/"), *parts])
    return str(Path(place, *parts))
