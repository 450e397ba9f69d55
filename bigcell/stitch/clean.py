"""Cleaning of objects: its settings, and which free voxels inside an object's holes are its own to fill.

Every object decides from what lies inside its own bounding box, so whoever holds that box can decide, in any order,
and no voxel is ever claimed by two objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_fill_holes, label

from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array

CLEAN_LIMIT = 2**22
"""Voxels. An object is not filled where its box in a plane holds more, and not checked where its box holds more."""


@dataclass(frozen=True)
class CleanSettings:
    """`fill_holes`: enclosed background becomes part of the object, plane by plane.

    `flow_threshold`: objects of planes whose flow error is above it are dropped (0: none). `flow_threshold_3d`: the
    same for objects of a stack, which Cellpose does not check (0, the default: none), but for those that the faces of
    the volume cut.
    """

    fill_holes: bool = True
    flow_threshold: float = 0.4
    flow_threshold_3d: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flow_threshold", "flow_threshold_3d"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise SettingsError(f"{name} {value}: wanted 0 (no check) or a positive mean squared difference")


def is_whole(low: Array, high: Array, extent: Sequence[int]) -> Array:
    """Which objects (n,) of a stack, from `low` to `high` (n, 3), end before the faces of a volume of `extent`.

    The voxels of one that is cut do not tell where its centre was: so it cannot be held to its flows.

    >>> is_whole(np.array([[1, 1, 1], [0, 1, 1]]), np.array([[4, 4, 4], [4, 4, 4]]), (9, 9, 9))
    array([ True, False])
    """
    return np.logical_not(at_faces(low, high, extent).any(axis=1))


def at_faces(low: Array, high: Array, extent: Sequence[int]) -> Array:
    """Along which axes (n, 3) objects from `low` to `high` (n, 3) reach a face of a volume of `extent`."""
    return np.asarray((low <= 0) | (high >= np.array(extent)))


def claims(labels: Array, name: int, holes: Array) -> Array:
    """Which voxels of its `holes` object `name` fills, in one plane: bool (y, x).

    `labels` (y, x) are the objects that stay (0: free voxels) in the object's box or more of the plane; `holes` (y, x)
    is the background that the object encloses, edge to edge. It fills the free voxels in them, but for those that
    another object inside the hole encloses in turn: the innermost has them. Where another object crosses the wall of a
    hole at corners, that hole stays. So two objects never claim the same voxel.

    >>> ring = np.array([[1, 1, 1, 1], [1, 0, 2, 1], [1, 1, 1, 1]])
    >>> claims(ring, 1, binary_fill_holes(ring == 1) & (ring != 1)).astype(int)
    array([[0, 0, 0, 0],
           [0, 1, 0, 0],
           [0, 0, 0, 0]])
    """
    mine: Array = holes & (labels == 0)
    taken = np.unique(labels[holes])
    if not taken.any():
        return mine
    own = labels == name
    part, count = label(holes)
    for h in range(1, count + 1):
        hole = part == h
        for other in np.unique(labels[hole]):
            if other == 0:
                continue
            theirs = labels == other
            if _crosses(own, theirs, hole):
                mine &= ~hole
                break
            mine &= ~binary_fill_holes(theirs & hole)
    return mine


def _crosses(own: Array, theirs: Array, hole: Array) -> bool:
    """Whether `theirs` steps out of the hole diagonally, between two voxels of `own`."""
    inside, outside = theirs & hole, theirs & ~hole
    for wall, a, b in (
        (own[:-1, 1:] & own[1:, :-1], np.s_[:-1, :-1], np.s_[1:, 1:]),
        (own[:-1, :-1] & own[1:, 1:], np.s_[:-1, 1:], np.s_[1:, :-1]),
    ):
        if (wall & ((inside[a] & outside[b]) | (outside[a] & inside[b]))).any():
            return True
    return False
