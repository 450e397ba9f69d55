"""How well borders of cells agree: the part of each labelling's boundary that lies near the other's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor, isfinite, sqrt

import numpy as np

from bigcell.core.borders import borders
from bigcell.core.box import Box
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.volume import Array

SLACK = 1e-9
"""A distance that is the tolerance but for rounding counts as within it."""


@dataclass(frozen=True)
class Ball:
    """The voxels no farther than `tolerance`, in voxels along x. `size`: of a voxel along each axis, x's is 1."""

    tolerance: float = 2.0
    size: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if not (isfinite(self.tolerance) and self.tolerance >= 0):
            raise SettingsError(f"boundary tolerance {self.tolerance}: wanted a distance in voxels, from 0 upwards")
        if not all(isfinite(s) and s > 0 for s in self.size):
            raise SettingsError(f"voxel sizes {self.size}: wanted positive numbers")

    @property
    def reach(self) -> tuple[int, ...]:
        """How many voxels it reaches along each axis."""
        return tuple(floor((self.tolerance + SLACK) / s) for s in self.size)

    def bars(self) -> Iterator[tuple[tuple[int, ...], int]]:
        """The ball as bars along the last axis: the offset of a bar along the other axes, and its half length.

        >>> sorted(Ball(1.0, (1.0, 1.0)).bars())
        [((-1,), 0), ((0,), 1), ((1,), 0)]
        """
        *others, last = self.size
        radius = self.tolerance + SLACK
        for offset in np.ndindex(*(2 * r + 1 for r in self.reach[:-1])):
            at = tuple(i - r for i, r in zip(offset, self.reach[:-1], strict=True))
            left = radius**2 - sum((k * s) ** 2 for k, s in zip(at, others, strict=True))
            if left >= 0:
                yield at, floor(sqrt(left) / last)


@dataclass(frozen=True)
class Boundary:
    """Voxels on the boundary of the truth and of what was found, and how many of each lie near the other. Adds up."""

    truth: int = 0
    found: int = 0
    truth_near: int = 0
    found_near: int = 0

    def __add__(self, other: Boundary) -> Boundary:
        return Boundary(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def precision(self) -> float:
        """Part of the boundary found that lies near a true one; 1 where none was found."""
        return self.found_near / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Part of the true boundary that lies near one found; 1 where there is none."""
        return self.truth_near / self.truth if self.truth else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both: the boundary F-score of Csurka et al., BMVC 2013, after Martin et al. 2004."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def boundary(truth: Array, found: Array, ball: Ball, *, core: Box | None = None) -> Boundary:
    """The boundary counts of the voxels in `core` (all) of two labellings of one shape, with as many axes as `ball`.

    A voxel of a cell is on its boundary if a neighbour across one of its faces is of another cell or of none; the edge
    of the array is no boundary. Exact in `core` if the arrays reach ``halo(ball)`` voxels beyond it, or to the edge.
    """
    if truth.shape != found.shape or truth.ndim != len(ball.size):
        raise InputError(
            f"labels of shapes {truth.shape} and {found.shape}, voxel sizes for {len(ball.size)} axes; wanted one shape"
        )
    where = Box.of(truth.shape) if core is None else core
    near = where.grow(ball.reach) & Box.of(truth.shape)
    a, b = (edges(labels)[near.slices] for labels in (truth, found))
    inner = where.relative_to(near).slices
    near_a, near_b = (within(mask, ball)[inner] for mask in (a, b))
    a, b = a[inner], b[inner]
    counts = (a.sum(), b.sum(), (a & near_b).sum(), (b & near_a).sum())
    return Boundary(*(int(n) for n in counts))


def halo(ball: Ball) -> tuple[int, ...]:
    """Voxels around a core, along each axis, that `boundary` must see: the ball, and the neighbours of its voxels."""
    return tuple(r + 1 for r in ball.reach)


def edges(labels: Array) -> Array:
    """The voxels of cells (bool) that have a face neighbour of another cell or of none.

    >>> edges(np.array([[0, 1, 1, 1, 2, 2]])).astype(int).tolist()
    [[0, 1, 0, 1, 1, 0]]
    """
    return np.asarray(borders(labels) & (labels != 0))


def within(mask: Array, ball: Ball) -> Array:
    """The voxels (bool) from which `ball` reaches a voxel of `mask`: the mask, dilated by the ball."""
    near = np.zeros(mask.shape, bool)
    longer, length = mask, 0
    for at, half in sorted(ball.bars(), key=lambda bar: bar[1]):
        longer, length = _stretched(longer, half - length), half
        to, source = _overlap(mask.shape, at)
        near[to] |= longer[source]
    return near


def _stretched(mask: Array, steps: int) -> Array:
    """`mask` dilated along its last axis by `steps` voxels both ways."""
    for _ in range(min(steps, mask.shape[-1])):
        wider = mask.copy()
        wider[..., 1:] |= mask[..., :-1]
        wider[..., :-1] |= mask[..., 1:]
        mask = wider
    return mask


def _overlap(shape: Sequence[int], at: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where voxels `at` further on lie in an array of `shape`: slices to and from, along all axes but the last."""
    lengths = list(zip(at, shape, strict=False))
    to = tuple(slice(max(0, -k), max(0, n - k) if k > 0 else n) for k, n in lengths)
    source = tuple(slice(max(0, k), max(0, n + k) if k < 0 else n) for k, n in lengths)
    return to, source
