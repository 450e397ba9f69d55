"""Files that have their name only once they are whole."""

from __future__ import annotations

import os
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
