"""ForegroundNote: what a plan says of its foreground, and where workers find it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bigcell.core.errors import PlanError
from bigcell.io.scratch import Scratch
from bigcell.preprocess.foreground import Foreground

ENTRY = "foreground"
"""The entry of the scratch that holds it, for all workers and for whoever resumes the run."""

_held: dict[str, Foreground] = {}


@dataclass(frozen=True)
class ForegroundNote:
    """What a plan says of its foreground. `source`: the mask's identity, or the threshold and where it was applied.

    `cells` is their number, `voxels` those of the foreground; `blocks`, `cubes` and `tiles` are those that are worked
    on.
    """

    source: dict[str, Any]
    sha256: str
    side: tuple[int, int, int]
    cells: int
    voxels: int
    blocks: int = 0
    cubes: int = 0
    tiles: int = 0

    def load(self, scratch: Scratch) -> Foreground:
        """The foreground of this run, read once a process: what is held is known by its content."""
        if self.sha256 not in _held:
            try:
                found = Foreground.of_arrays(scratch.load(ENTRY))
            except (FileNotFoundError, KeyError, ValueError) as error:
                raise PlanError(f"the foreground of this run cannot be read ({error}); start over") from error
            if found.sha256 != self.sha256:
                raise PlanError("the foreground in the work folder is not the one that was planned; start over")
            _held.clear()
            _held[self.sha256] = found
        return _held[self.sha256]
