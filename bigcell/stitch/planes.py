"""Planes linked to objects: 2-D labels of a stack joined from plane to plane where they overlap enough.

The rule is Cellpose's `stitch3D` (`stitch_threshold`, Stringer et al. 2021). Its table of every object against every
other grows with the square of the objects; here only pairs that touch are counted, and one pair of planes is held at a
time, so memory does not depend on the number of planes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from bigcell.core.arrays import as_array
from bigcell.core.errors import InputError, SettingsError
from bigcell.core.lookup import Lookup
from bigcell.core.volume import Array

Pairs = tuple[Array, Array, Array]
"""Objects of the lower plane, objects of the upper plane, and the pixels that each pair shares; all (n,) int64."""


def link_planes(labels: ArrayLike, stitch_threshold: float = 0.25) -> Array:
    """Join the objects of a stack whose planes were labelled each on its own.

    An object continues the one below it when their IoU reaches the threshold and each is the other's best; see
    `continues`. The others begin, and get the next numbers in the order of their ids. An object ends where it is not
    continued: an empty plane parts what lies below from what lies above.

    Parameters
    ----------
    labels
        Integers ``(z, y, x)``, 0 for background; an id means nothing beyond its plane.
    stitch_threshold
        The IoU from which an object continues another.

    Returns
    -------
    Array
        uint32 ``(z, y, x)``, numbered 1..n.

    Notes
    -----
    Cellpose gives the same numbers, apart from two cases: it gives two objects of a plane one name when they overlap
    the one below equally well, and it uses names twice when a stack begins with an object and an empty plane.

    Examples
    --------
    >>> link_planes(np.array([[[1, 1, 2, 2]], [[7, 7, 0, 7]]])).tolist()
    [[[1, 1, 2, 2]], [[1, 1, 0, 1]]]
    """
    labels = as_array(labels)
    if labels.ndim != 3:
        raise InputError(f"found labels of shape {labels.shape}; wanted (z, y, x)")
    out = np.zeros(labels.shape, np.uint32)
    for z, plane in enumerate(iter_linked(labels, stitch_threshold)):
        out[z] = plane
    return out


def iter_linked(planes: Iterable[Array], stitch_threshold: float) -> Iterator[Array]:
    """`link_planes` of a stack that comes plane by plane, ``(y, x)`` integers in and uint32 out.

    Holds two planes and a table of their objects, however many planes there are.
    """
    check_threshold(stitch_threshold)
    below: Array | None = None
    numbers = Lookup(np.zeros(0, np.int64), np.zeros(0, np.int64))
    count = 0
    for plane in planes:
        here = _checked(plane)
        below = np.zeros_like(here) if below is None else below
        pairs = _counted(below, here)
        lower, upper = _areas(pairs[0], pairs[2]), _areas(pairs[1], pairs[2])
        touching = (pairs[0] > 0) & (pairs[1] > 0)
        chosen = continues(lower, upper, (pairs[0][touching], pairs[1][touching], pairs[2][touching]), stitch_threshold)
        number = numbers.of(chosen)
        begins = number == 0
        number[begins] = np.arange(count + 1, count + 1 + begins.sum())
        count += int(begins.sum())
        if count >= 2**32:
            raise InputError("this stack holds more than 4 294 967 295 objects; link it in parts")
        numbers = Lookup(upper.key, number)
        out = np.zeros(here.shape, np.uint32)
        _rename(here, numbers.key, numbers.value, out)
        below = here
        yield out


def check_threshold(stitch_threshold: float) -> None:
    """Refuse an IoU that no two planes could be linked by."""
    if not 0 < stitch_threshold <= 1:
        raise SettingsError(
            f"stitch_threshold {stitch_threshold}: wanted an overlap (IoU) above 0 and up to 1, such as 0.25"
        )


def overlap_counts(lower: Array, upper: Array) -> Pairs:
    """Which objects of two label arrays of one shape share pixels, and how many; sorted by lower, then upper id.

    Counts may be added up over the blocks of a plane. Takes memory for the pairs that touch, not for all.

    >>> [x.tolist() for x in overlap_counts(np.array([[3, 3, 3, 0]]), np.array([[0, 5, 5, 5]]))]
    [[3], [5], [2]]
    """
    a, b, n = _counted(_checked(lower), _checked(upper))
    touching = (a > 0) & (b > 0)
    return a[touching], b[touching], n[touching]


def continues(lower: Lookup, upper: Lookup, pairs: Pairs, threshold: float) -> Array:
    """For each object of the upper plane (in the order of ``upper.key``) the one below that it continues, 0 for none.

    `lower` and `upper` hold the pixels of every object in their plane, `pairs` what they share. A pair counts when its
    IoU is at least `threshold`. Of the pairs of one lower object the best stands; of what is then left to one upper
    object, the best. So an object continues at most one and is continued by at most one. Where IoUs are equal, the
    upper object of the lower id goes first, then the lower object of the lower id.

    >>> areas = Lookup(np.array([3, 4]), np.array([10, 10]))
    >>> continues(areas, areas, (np.array([3, 4]), np.array([4, 3]), np.array([9, 1])), 0.25)
    array([0, 3])
    """
    a, b, shared = pairs
    iou = shared / (lower.of(a) + upper.of(b) - shared)
    enough = iou >= threshold
    a, b, iou = a[enough], b[enough], iou[enough]
    stands = _best(a, b, iou)
    a, b, iou = a[stands], b[stands], iou[stands]
    stands = _best(b, a, iou)
    return Lookup(b[stands], a[stands]).of(upper.key)


def _best(of: Array, among: Array, iou: Array) -> Array:
    """Rows of the best partner `among` for each `of`, by ascending `of`; of equal ones the lower id."""
    order = np.lexsort((among, -iou, of))
    first = np.ones(len(order), bool)
    first[1:] = of[order][1:] != of[order][:-1]
    rows: Array = order[first]
    return rows


def _checked(plane: Array) -> Array:
    """`plane` as contiguous int64."""
    if plane.dtype.kind not in "iub":
        raise InputError(f"found labels of dtype {plane.dtype}; wanted integers")
    if plane.dtype == np.uint64 and plane.size and plane.max() >= 2**63:
        raise InputError("found a label of 2**63 or more; number the objects anew")
    ids = np.ascontiguousarray(plane, np.int64)
    if ids.size and ids.min() < 0:
        raise InputError(f"found label {ids.min()}; wanted 0 for background and positive ids")
    return ids


def _counted(lower: Array, upper: Array) -> Pairs:
    """Pixels of every pair of ids, background (0) among them, but for those that are background in both."""
    if lower.shape != upper.shape:
        raise InputError(f"found planes of shape {lower.shape} and {upper.shape}; wanted one shape")
    table, n = _count(lower.ravel(), upper.ravel())
    table = table[table[:, 2] > 0]
    assert len(table) == n
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    return table[:, 0], table[:, 1], table[:, 2]


def _areas(ids: Array, pixels: Array) -> Lookup:
    """Pixels of each object, from counts of all its pairs."""
    every, inverse = np.unique(ids, return_inverse=True)
    total = np.zeros(len(every), np.int64)
    np.add.at(total, inverse, pixels)
    return Lookup(every[every > 0], total[every > 0])


@njit(cache=True, nogil=True)
def _count(lower, upper):  # type: ignore[no-untyped-def]
    """A hash table (slots, 3) of lower id, upper id, pixels (0: a free slot), and how many slots are taken.

    Pixels come in runs of one pair, and a run costs one look-up.
    """
    table = np.zeros((1024, 3), np.int64)
    taken = 0
    i = 0
    while i < len(lower):
        a, b = lower[i], upper[i]
        run = i + 1
        while run < len(lower) and lower[run] == a and upper[run] == b:
            run += 1
        if a != 0 or b != 0:
            if 2 * taken >= len(table):
                table = _doubled(table)
            at = _slot(table, a, b)
            if table[at, 2] == 0:
                table[at, 0], table[at, 1] = a, b
                taken += 1
            table[at, 2] += run - i
        i = run
    return table, taken


@njit(cache=True, nogil=True)
def _slot(table, a, b):  # type: ignore[no-untyped-def]
    """The slot of a pair, or the free one where it belongs."""
    last = np.uint64(len(table) - 1)  # the number of slots is a power of two
    mixed = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    at = (mixed ^ (mixed >> np.uint64(32))) & last
    while table[at, 2] != 0 and (table[at, 0] != a or table[at, 1] != b):
        at = (at + np.uint64(1)) & last
    return at


@njit(cache=True, nogil=True)
def _doubled(table):  # type: ignore[no-untyped-def]
    larger = np.zeros((2 * len(table), 3), np.int64)
    for i in range(len(table)):
        if table[i, 2] != 0:
            at = _slot(larger, table[i, 0], table[i, 1])
            larger[at] = table[i]
    return larger


@njit(cache=True, nogil=True)
def _rename(plane, names, numbers, out):  # type: ignore[no-untyped-def]
    """Write the number of every pixel's name to `out`; a run of pixels costs one search."""
    last = number = np.int64(0)
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            if plane[y, x] != last:
                last = plane[y, x]
                number = numbers[np.searchsorted(names, last)] if last != 0 else np.int64(0)
            out[y, x] = number
