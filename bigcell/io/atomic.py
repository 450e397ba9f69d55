"""Files that have their name only once they are whole."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bigcell.core.errors import OutputError


def coming(path: Path) -> Path:
    """Where what is to be `path` is written; what a kill left there is written over."""
    return path.with_name(f".{path.name}.coming")


@contextmanager
def whole_file(path: Path, *also: type[Exception]) -> Iterator[Path]:
    """Where to write what is to be `path`: it takes that name, and the place of what had it, when it is on the disk.

    OutputError, and nothing is left of it, for an OSError, or one of `also`, which a library raises in its stead.
    """
    fresh = coming(path)
    failures: tuple[type[Exception], ...] = (OSError, *also)
    try:
        yield fresh
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(path)
    except failures as error:
        fresh.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written ({error}); free some space, or give another place") from error


def write_text(path: Path, text: str) -> Path:
    """`text` in UTF-8 as the file `path`, by `whole_file`."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> Path:
    """`content` as the file `path`, by `whole_file`."""
    with whole_file(path) as fresh:
        fresh.write_bytes(content)
    return path


def replace_file(path: Path, content: bytes | memoryview, *, beside: Path | None = None) -> None:
    """Write the file `path` at once or not at all, for what can be made again: nothing waits until it is on the disk.

    Several processes may do so at the same time: each writes a file of its own, beside `beside` (`path` itself) under a
    hidden name, and the last to finish stands. OSError, and nothing is left of it, where it cannot be written.
    """
    near = beside or path
    fresh = near.with_name(f".{near.name}.{uuid.uuid4().hex}")
    try:
        fresh.write_bytes(content)
        os.replace(fresh, path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
