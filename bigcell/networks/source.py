"""Where a model's file is: bundled, on the disk, or published and fetched. Nothing here downloads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import as_file, files
from pathlib import Path

from bigcell.core.errors import ModelError
from bigcell.networks.cache import check_sha256, locate, missing, sha256_of
from bigcell.networks.catalogue import CATALOGUE, Entry

BUNDLED = {
    "nuclei": "nuclei in 2-D and 3-D, mostly fluorescence; the default",
    "cyto": "whole cells: cytoplasm or membrane, with or without nuclei",
}
"""The models that come with bigcell, and what they find. Those of Cellpose 1 with these names are `nuclei_cp1` and
`cyto_cp1` here."""


@dataclass(frozen=True)
class Source:
    """Where a model comes from. `path` is None for a bundled one, `entry` for all but a published one."""

    name: str
    path: Path | None = None
    entry: Entry | None = None

    @contextmanager
    def file(self) -> Iterator[Path]:
        """The file with the weights."""
        if self.path is not None:
            yield self.path
            return
        with as_file(files("bigcell.networks") / "weights" / f"{self.name}.safetensors") as path:
            yield path

    def checked_sha256(self, path: Path) -> str:
        """SHA-256 of the file; ModelError where it is not what was published, or first fetched."""
        found = sha256_of(path)
        if self.entry is not None:
            check_sha256(self.entry.weights, path, found)
        return found


def find_model(name_or_path: str | Path) -> Source:
    """Where the model of that name is: bundled, a file, published and fetched, in this order; ModelError if nowhere.

    A bundled name wins over a file of that name: write ``./nuclei`` for the latter.
    """
    name = str(name_or_path)
    if name in BUNDLED:
        return Source(name)
    if os.path.isfile(name):  # unlike Path.is_file, it answers for names that no file can have
        return Source(Path(name_or_path).name, Path(name_or_path))
    entry = CATALOGUE.get(name)
    if entry is None:
        raise ModelError(_unknown(name))
    place = locate(entry.weights)
    if place is None:
        raise missing(entry, entry.weights)
    return Source(name, place, entry)


def _unknown(name: str) -> str:
    near = get_close_matches(name, [*BUNDLED, *CATALOGUE], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return (
        f"{name!r} is neither a model that comes with bigcell ({', '.join(BUNDLED)}) nor a file nor a published model "
        f"(`bigcell models list`){hint}"
    )
