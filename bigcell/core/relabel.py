"""Other numbers for the ids of a label array."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def renumber_into(out, local, number):  # type: ignore[no-untyped-def]
    """Write into `out` the value ``number[id]`` for every id of `local`, (z, y, x) both; they may be one array.

    One pass without a copy, and on one core: memory is what it waits for.
    """
    for z in range(local.shape[0]):
        for y in range(local.shape[1]):
            for x in range(local.shape[2]):
                out[z, y, x] = number[local[z, y, x]]
