"""Metadata documents that several runs change at the same time: read, change, write, with nobody else between.

On disks and network file systems a lock in the store is held meanwhile. Object stores have no locks: there the document
is written on the condition that it is still the one that was read, and the change is made anew where it is not.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bigcell.core.documents import parse_object
from bigcell.core.errors import InputError, OutputError
from bigcell.io.atomic import write_bytes
from bigcell.io.stores.locks import locked
from bigcell.io.stores.urls import is_url, joined, without_credentials

LOCK = "labels/.bigcell.lock"
"""The lock of all documents of a local store; it stands there only while somebody holds it."""
PATIENCE = 120.0
"""Seconds that a change waits for those of others."""

Change = Callable[[bytes | None], bytes | None]
"""From what a document holds (None: it is not there) to what it should hold; None leaves it as it is."""


def change_document(store: str, name: str, change: Change) -> None:
    """Change the document `name` of `store`, a path or a URL. OutputError where others hold it for minutes.

    `change` may be called several times, each time with what the document holds then.
    """
    if is_url(store):
        _change_remote(joined(store, name), change)
        return
    lock, path = Path(store, LOCK), Path(store, name)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with locked(lock, wait=PATIENCE):
        held = path.read_bytes() if path.exists() else None
        new = change(held)
        if new is not None and new != held:
            write_bytes(path, new)


def read_json(content: bytes | None, what: str) -> dict[str, Any]:
    """A JSON object; empty for no document. OutputError for anything else."""
    try:
        return {} if content is None else parse_object(content, what)
    except InputError as error:
        raise OutputError(f"{error}; repair it, then continue with `bigcell resume`") from error


def to_bytes(values: dict[str, Any]) -> bytes:
    """As zarr writes its metadata."""
    return json.dumps(values, indent=2).encode()


def _change_remote(url: str, change: Change) -> None:
    from bigcell.io.stores.remote import fetch_version, upload_if

    until = time.monotonic() + PATIENCE
    while True:
        held, version = fetch_version(url)
        new = change(held)
        if new is None or new == held or upload_if(new, url, version):
            return
        if time.monotonic() > until:
            raise OutputError(f"{without_credentials(url)} is changed by others all the time; resume later")
        time.sleep(random.uniform(0.02, 0.3))
