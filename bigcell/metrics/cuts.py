"""Cells in pieces and cells in one: which true cells were split and which cells found are several."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array
from bigcell.metrics.pairs import CellPairs

SHARE = 0.5
"""Two cells belong together where they share this part of the smaller one."""


@dataclass(frozen=True)
class Cuts:
    """To how many cells each cell belongs: `pieces` of each true cell, `whole` cells in each cell found, both in the
    order of `CellPairs`. Two cells belong together that share at least a given part of the smaller one's voxels: a
    fragment lies in its cell, a cell lies in what it was fused into, and a shifted border joins nobody.
    """

    pieces: Array = field(repr=False)
    whole: Array = field(repr=False)

    @property
    def split(self) -> int:
        """True cells in two or more pieces."""
        return int((self.pieces > 1).sum())

    @property
    def merged(self) -> int:
        """Cells found that hold two or more true ones."""
        return int((self.whole > 1).sum())


def cuts(pairs: CellPairs, *, share: float = SHARE) -> Cuts:
    """The cells that were split or merged.

    >>> from bigcell.metrics.overlaps import overlaps
    >>> truth, found = np.array([1, 1, 1, 1, 2, 2, 3, 3]), np.array([4, 4, 5, 5, 6, 6, 6, 6])
    >>> counts = cuts(CellPairs.of(overlaps(truth, found)))
    >>> counts.split, counts.merged
    (1, 1)
    """
    smaller = np.minimum(pairs.truth.voxels[pairs.a], pairs.found.voxels[pairs.b])
    joined = pairs.voxels >= check_share(share) * smaller
    return Cuts(
        np.bincount(pairs.a[joined], minlength=len(pairs.truth)),
        np.bincount(pairs.b[joined], minlength=len(pairs.found)),
    )


def check_share(share: float) -> float:
    """`share`; SettingsError for one that is no part of a cell."""
    if not 0 < share <= 1:
        raise SettingsError(f"share {share}: wanted a part of the smaller cell, above 0 and up to 1")
    return share
