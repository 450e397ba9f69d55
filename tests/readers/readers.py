"""The readers that are asked, each by a small script in an environment of its own, and what they say of stores."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.readers.stores import FACTS

HERE = Path(__file__).parent
HOME = Path(os.environ.get("BIGCELL_READERS", HERE.parents[1] / ".readers"))
CLOSE = 1e-6
"""Of one part: readers that count in nanometers are not exact."""


@dataclass(frozen=True)
class Reader:
    """A reader: its package, its script in `seen`, and the environment that has it."""

    package: str
    script: str
    home: str = "ome"

    @cached_property
    def version(self) -> str:
        """The version that is pinned."""
        if self.home == "node":
            return str(json.loads((HERE / "pins" / "package.json").read_text())["dependencies"][self.package])
        pins = (HERE / "pins" / f"{self.home}.txt").read_text()
        found = re.search(rf"^{re.escape(self.package)}==(\S+)$", pins, re.MULTILINE)
        assert found, self.package
        return found[1]

    @property
    def is_there(self) -> bool:
        """Whether its environment was made."""
        return (HOME / self.home / "ready").exists()

    def say(self, places: Iterable[Path]) -> dict[str, Any]:
        """Its facts, or its error, of each store, by place."""
        program = "node" if self.home == "node" else str(HOME / self.home / "bin" / "python")
        words = [program, str(HERE / "seen" / self.script), *map(str, places)]
        outside = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        around = {name: value for name, value in os.environ.items() if name not in outside}
        around["READERS_NODE"] = str(HOME / "node")
        done = subprocess.run(words, capture_output=True, text=True, timeout=600, env=around)
        assert done.returncode == 0, done.stderr[-2000:]
        said: dict[str, Any] = json.loads(done.stdout)
        return said


READERS = (
    Reader("bioio-ome-zarr", "bioio_ome_zarr_.py"),
    Reader("cloud-volume", "cloud_volume_.py", "volumes"),
    Reader("iohub", "iohub_.py"),
    Reader("itk-ioomezarrngff", "itk_.py", "volumes"),
    Reader("napari-ome-zarr", "napari_ome_zarr_.py"),
    Reader("ngff-zarr", "ngff_zarr_.py"),
    Reader("ngio", "ngio_.py"),
    Reader("ome-zarr", "ome_zarr_.py"),
    Reader("ome-zarr-models", "ome_zarr_models_.py"),
    Reader("tensorstore", "tensorstore_.py"),
    Reader("zarr", "zarr_.py"),
    Reader("zarrita", "zarrita.mjs", "node"),
)


def silent(said: dict[str, Any], true: dict[str, Any]) -> set[str]:
    """The facts that a reader has no word for, though there is something to say."""
    return {fact for fact in FACTS if said.get(fact) is None and true[fact] is not None}


def wrong(said: dict[str, Any], true: dict[str, Any]) -> set[str]:
    """The facts that it tells, and that are not so."""
    told = {fact for fact in FACTS if said.get(fact) is not None}
    return {fact for fact in told if not _same(said[fact], true[fact])}


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) == set(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= CLOSE * abs(other)
    return bool(one == other)
