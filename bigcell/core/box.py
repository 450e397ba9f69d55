"""Box: a half-open, axis-aligned region of voxels, in any number of dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """Voxels ``start <= v < stop``, axis by axis. Immutable; may be empty, never negative.

    >>> a = Box((0, 0), (4, 6))
    >>> a & Box((2, 5), (9, 9))
    Box(start=(2, 5), stop=(4, 6))
    >>> (a & Box((5, 0), (9, 9))).is_empty
    True
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.start) != len(self.stop):
            raise ValueError(f"start {self.start} and stop {self.stop} have different lengths")
        if any(b < a for a, b in zip(self.start, self.stop, strict=True)):
            raise ValueError(f"box from {self.start} to {self.stop} has a negative side")

    @classmethod
    def of(cls, extent: Sequence[int]) -> Box:
        """The box from the origin to `extent`."""
        return cls((0,) * len(extent), tuple(int(n) for n in extent))

    @classmethod
    def middle(cls, extent: Sequence[int], most: Sequence[int]) -> Box:
        """The middle of the box from the origin to `extent`, at most `most` voxels along each axis.

        >>> Box.middle((9, 4), (5, 5))
        Box(start=(2, 0), stop=(7, 4))
        """
        start = tuple((n - min(n, m)) // 2 for n, m in zip(extent, most, strict=True))
        return cls(start, tuple(s + min(n, m) for s, n, m in zip(start, extent, most, strict=True)))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def is_empty(self) -> bool:
        return self.size == 0

    @property
    def slices(self) -> tuple[slice, ...]:
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    def __and__(self, other: Box) -> Box:
        start = tuple(max(a, b) for a, b in zip(self.start, other.start, strict=True))
        stop = tuple(max(s, min(a, b)) for s, a, b in zip(start, self.stop, other.stop, strict=True))
        return Box(start, stop)

    def __contains__(self, other: Box) -> bool:
        return other.is_empty or (self & other) == other

    def grow(self, margin: int | Sequence[int]) -> Box:
        """The box with `margin` voxels more on every side (not clipped: use ``&``)."""
        m = (margin,) * len(self.start) if isinstance(margin, int) else tuple(margin)
        return Box(
            tuple(a - k for a, k in zip(self.start, m, strict=True)),
            tuple(b + k for b, k in zip(self.stop, m, strict=True)),
        )

    def shift(self, offset: Sequence[int]) -> Box:
        """The box moved by `offset`."""
        return Box(
            tuple(a + k for a, k in zip(self.start, offset, strict=True)),
            tuple(b + k for b, k in zip(self.stop, offset, strict=True)),
        )

    def relative_to(self, other: Box) -> Box:
        """The same voxels, counted from the start of `other`."""
        return self.shift(tuple(-a for a in other.start))

    def split(self, shape: Sequence[int]) -> Iterator[Box]:
        """Boxes of at most `shape` that tile this one, counted from its start, last axis fastest."""
        ranges = [range(a, b, n) for a, b, n in zip(self.start, self.stop, shape, strict=True)]
        for corner in product(*ranges):
            stop = tuple(min(c + n, b) for c, n, b in zip(corner, shape, self.stop, strict=True))
            yield Box(tuple(corner), stop)
