"""A hash table from the voxels where particles end to numbers of sinks, and a block's labels by means of it."""

from __future__ import annotations

import numpy as np
from numba import njit

from bigcell.core.volume import Array


def hash_table(position: Array, number: Array) -> Array:
    """`number` (n,) of every raster `position` (n,), for `name_ends`: (slots, 2) int64, position -1 in free slots.

    At most half of the slots are taken, so a look-up touches one or two lines of memory, where a search in a sorted
    table touches one for each halving.
    """
    slots = 1 << max(4, int(2 * len(position)).bit_length())
    table = np.full((slots, 2), -1, np.int64)
    _insert(table, position, number)
    return table


@njit(cache=True, nogil=True, inline="always")
def _slot(position, last):  # type: ignore[no-untyped-def]
    mixed = np.uint64(position) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed ^ (mixed >> np.uint64(29))) & last)


@njit(cache=True, nogil=True)
def _insert(table, position, number):  # type: ignore[no-untyped-def]
    last = np.uint64(len(table) - 1)
    for i in range(len(position)):
        at = _slot(position[i], last)
        while table[at, 0] >= 0:
            at = (at + 1) & (len(table) - 1)
        table[at, 0], table[at, 1] = position[i], number[i]


@njit(cache=True, nogil=True)
def name_ends(mask, moved, place, table, local):  # type: ignore[no-untyped-def]
    """Write into `local` (z, y, x) the number of the end of each particle of `mask`, 0 for ends that no sink holds.

    `moved` (n, 3): how far each particle went, in raster order; `place`: the block's first voxel and the volume's
    extent. Returns how many particles no sink holds.
    """
    last = np.uint64(len(table) - 1)
    before, found = np.int64(-1), np.int64(0)
    n, lost = 0, 0
    for z in range(mask.shape[0]):
        for y in range(mask.shape[1]):
            for x in range(mask.shape[2]):
                if not mask[z, y, x]:
                    continue
                a, b, c = place[0, 0] + z + moved[n, 0], place[0, 1] + y + moved[n, 1], place[0, 2] + x + moved[n, 2]
                end = (a * place[1, 1] + b) * place[1, 2] + c
                n += 1
                if end != before:  # neighbours mostly end at one voxel
                    at = _slot(end, last)
                    while table[at, 0] != end and table[at, 0] >= 0:
                        at = (at + 1) & (len(table) - 1)
                    found = table[at, 1] if table[at, 0] == end else np.int64(0)
                    before = end
                local[z, y, x] = found
                lost += found == 0
    return lost
