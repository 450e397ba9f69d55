"""Did blocks leave traces? Labels must not change more often across faces of blocks than across planes near them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from bigcell.core.volume import Array

REACH = 4
"""Planes on either side of a face that it is compared with."""
NEAREST = 2
"""Nearer planes are left out: a sliver along a face shows there as well."""
TRACE, SURE = 1.25, 4.0
"""A trace is this many times as many changes at faces as near them, by so many standard errors."""


@dataclass(frozen=True)
class Audit:
    """`shares` of voxel pairs whose labels differ, for planes at `offsets` from `faces` faces of blocks. `ratio` is
    that of the faces to the planes near them, `error` its standard error."""

    faces: int
    offsets: tuple[int, ...]
    shares: tuple[float, ...]
    ratio: float
    error: float

    @property
    def is_clean(self) -> bool:
        """Whether faces are as any other plane, as far as the sample can tell."""
        return self.ratio <= TRACE or self.ratio - 1 <= SURE * self.error


def changes(labels: Array, axis: int) -> Array:
    """For every plane between two voxels along `axis`, the share of voxel pairs across it whose labels differ.

    >>> changes(np.array([[1, 1, 0], [1, 2, 0], [1, 2, 0]]), 0).tolist()
    [0.3333333333333333, 0.0]
    """
    along = np.moveaxis(labels, axis, 0)
    differ = along[1:] != along[:-1]
    return np.asarray(differ.reshape(len(differ), -1).mean(axis=1))


def judge(found: Array, offsets: Array) -> Audit:
    """The audit of `found` (faces, offsets): shares as `changes` gives them, NaN for planes that are themselves faces.

    Cells are of all sizes and lie anywhere, so the planes of one face vary. The error takes both in: how much the faces
    differ from their surroundings among each other, and how much the planes around one face do. The larger one counts.
    """
    there = np.isfinite(found).any(axis=0)
    found, offsets = found[:, there], offsets[there]
    near = np.abs(offsets) >= NEAREST
    face, around = found[:, offsets == 0][:, 0], found[:, near]
    expected = np.nanmean(around, axis=1)
    total = float(expected.sum())
    shares = tuple(round(float(v), 6) for v in np.nanmean(found, axis=0))
    places = tuple(int(o) for o in offsets)
    if total == 0:
        return Audit(len(found), places, shares, inf if face.any() else 1.0, 0.0)
    count = len(found)
    within = float(np.nansum(np.nanvar(around, axis=1)))
    between = count * float(np.var(face - expected, ddof=1)) if count > 1 else 0.0
    return Audit(count, places, shares, float(face.sum()) / total, sqrt(max(within, between)) / total)
