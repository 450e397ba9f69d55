"""Sinks: peaks of the histogram of end points, their names and territories.

A sink is named by its global raster position plus one, so every block that sees it gives it the same name. All ties
have a total order (higher count, then lower position), so nothing depends on the order of particles or sinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from bigcell.core.box import Box
from bigcell.core.lookup import Lookup
from bigcell.core.volume import Array
from bigcell.dynamics.settings import (
    GROW_COUNT,
    GROW_STEPS,
    SEED_COUNT,
    SEED_RADIUS,
    SINK_HALO,
    DynamicsSettings,
)


@dataclass(frozen=True)
class EndHistogram:
    """How many particles end where: global raster positions (n,) int64 ascending, counts (n,) int64."""

    position: Array
    count: Array

    @classmethod
    def of(cls, positions: Array, extent: tuple[int, ...] | None = None) -> EndHistogram:
        """The histogram of the raster positions (n,) where particles end, in a volume of `extent`.

        With `extent` they are counted in the box they span where that is quicker than sorting them.
        """
        if extent is not None and len(positions):
            shape = np.array(extent, np.int64)
            span = _span(positions, shape)
            box = Box(tuple(map(int, span[0])), tuple(map(int, span[1] + 1)))
            if box.size <= 4 * len(positions) + 2**20:
                counts = np.zeros(box.shape, np.int32)
                _count(positions, shape, span[0], counts)
                return cls.of_counts(counts, box, extent)
        position, count = np.unique(positions, return_counts=True)
        return cls(position.astype(np.int64), count.astype(np.int64))

    @classmethod
    def of_counts(cls, counts: Array, box: Box, extent: tuple[int, ...]) -> EndHistogram:
        """The histogram of dense `counts` (*box)."""
        local = np.flatnonzero(counts)
        zyx = np.unravel_index(local, counts.shape)
        position = np.ravel_multi_index(tuple(a + o for a, o in zip(zyx, box.start, strict=True)), extent)
        return cls(position.astype(np.int64), counts.ravel()[local].astype(np.int64))

    @classmethod
    def sum(cls, parts: Sequence[EndHistogram]) -> EndHistogram:
        """All particles of `parts` together."""
        position = np.concatenate([p.position for p in parts] or [np.zeros(0, np.int64)])
        count = np.concatenate([p.count for p in parts] or [np.zeros(0, np.int64)])
        unique, inverse = np.unique(position, return_inverse=True)
        total = np.zeros(len(unique), np.int64)
        np.add.at(total, inverse, count)
        return cls(unique, total)

    def within(self, box: Box, extent: tuple[int, ...]) -> EndHistogram:
        """Only the ends in `box`."""
        zyx = np.unravel_index(self.position, extent)
        inside = np.ones(len(self.position), bool)
        for axis, a, b in zip(zyx, box.start, box.stop, strict=True):
            inside &= (axis >= a) & (axis < b)
        return EndHistogram(self.position[inside], self.count[inside])


def map_sinks(
    histogram: EndHistogram, core: Box, extent: tuple[int, ...], settings: DynamicsSettings | None = None
) -> Lookup:
    """The sink of every end voxel in `core`: global raster position to name, 0 for none.

    `histogram` must be complete within `SINK_HALO` voxels of `core`; more than that does not change the result.
    Of `settings` (None: the defaults), `planar` and `sampling` (its ties) matter here.
    """
    settings = settings or DynamicsSettings()
    window = core.grow(SINK_HALO) & Box.of(extent)
    near = histogram.within(window, extent)
    wanted = near.within(core, extent)
    if len(wanted.position) == 0:
        return Lookup(wanted.position, wanted.count)
    counts = np.zeros(window.shape, np.int32)
    counts[_local(near.position, window, extent)] = near.count
    seeds = find_seeds(counts, settings)
    name = np.ravel_multi_index(tuple((seeds + np.array(window.start)).T), extent) + 1
    territory = territories(counts, seeds, settings)
    seed = territory[_local(wanted.position, window, extent)]
    return Lookup(wanted.position, np.concatenate([[0], name])[seed])


def _local(position: Array, window: Box, extent: tuple[int, ...]) -> tuple[Array, ...]:
    zyx = np.unravel_index(position, extent)
    return tuple(a - o for a, o in zip(zyx, window.start, strict=True))


def find_seeds(counts: Array, settings: DynamicsSettings) -> Array:
    """The peaks of `counts` (z, y, x), (n, 3) int64 in raster order.

    Of equal voxels in reach of each other the first is the peak; with "cellpose" sampling all of them are.
    """
    reach = np.array([0 if settings.planar else SEED_RADIUS, SEED_RADIUS, SEED_RADIUS])
    found: Array = _seeds(counts, SEED_COUNT, reach, settings.sampling == "cellpose")
    return found


def territories(counts: Array, seeds: Array, settings: DynamicsSettings) -> Array:
    """Which seed holds each voxel: its place in `seeds` plus one, 0 for none; int32 (z, y, x).

    The higher seed wins a voxel in reach of several; of equals the first, with "cellpose" sampling the last, as in a
    stable sort of its seeds.
    """
    held = counts[tuple(seeds.T)]
    place = np.arange(len(seeds))
    ascending = np.lexsort((place if settings.sampling == "cellpose" else -place, held))
    owner = np.zeros(counts.shape, np.int32)
    rule = np.array([GROW_COUNT, GROW_STEPS, 0 if settings.planar else 1])
    _grow(counts, seeds[ascending], place[ascending] + 1, owner, rule)
    return owner


@njit(cache=True, nogil=True)
def _span(positions, extent):  # type: ignore[no-untyped-def]
    """The lowest and highest z, y, x among raster positions: (2, 3)."""
    span = np.empty((2, 3), np.int64)
    span[0], span[1] = extent, -1
    for p in positions:
        row = p // extent[2]
        zyx = (row // extent[1], row % extent[1], p % extent[2])
        for axis in range(3):
            span[0, axis] = min(span[0, axis], zyx[axis])
            span[1, axis] = max(span[1, axis], zyx[axis])
    return span


@njit(cache=True, nogil=True)
def _count(positions, extent, origin, counts):  # type: ignore[no-untyped-def]
    for p in positions:
        row = p // extent[2]
        counts[row // extent[1] - origin[0], row % extent[1] - origin[1], p % extent[2] - origin[2]] += 1


@njit(cache=True, nogil=True)
def _seeds(counts, least, reach, ties):  # type: ignore[no-untyped-def]
    """Voxels (n, 3) above `least` that no voxel within `reach` (3,) beats: higher, or as high and earlier."""
    Z, Y, X = counts.shape  # noqa: N806
    found = []
    for z in range(Z):
        for y in range(Y):
            row = counts[z, y]
            for x in range(X):
                if row[x] > least and _is_peak(counts, z, y, x, reach, ties):
                    found.append((z, y, x))
    out = np.empty((len(found), 3), np.int64)
    for n in range(len(found)):
        out[n, 0], out[n, 1], out[n, 2] = found[n]
    return out


@njit(cache=True, nogil=True)
def _is_peak(counts, z, y, x, reach, ties):  # type: ignore[no-untyped-def]
    h = counts[z, y, x]
    for k in range(max(0, z - reach[0]), min(counts.shape[0], z + reach[0] + 1)):
        for j in range(max(0, y - reach[1]), min(counts.shape[1], y + reach[1] + 1)):
            for i in range(max(0, x - reach[2]), min(counts.shape[2], x + reach[2] + 1)):
                other = counts[k, j, i]
                if other > h or (other == h and not ties and (k, j, i) < (z, y, x)):
                    return False
    return True


@njit(cache=True, nogil=True)
def _grow(counts, seeds, names, owner, rule):  # type: ignore[no-untyped-def]
    """Write each seed's name over its territory, weakest first so that the strongest stands."""
    least, steps, up = rule
    side = 2 * steps + 1
    reached = np.zeros((side, side, side), np.bool_)
    queue = np.empty((side * side * side, 3), np.int64)
    for n in range(len(seeds)):
        reached[:] = False
        queue[0] = seeds[n]
        reached[steps, steps, steps] = True
        head, tail = 0, 1
        for _ in range(steps + 1):
            level_end = tail
            while head < level_end:
                z, y, x = queue[head, 0], queue[head, 1], queue[head, 2]
                head += 1
                owner[z, y, x] = names[n]
                for k in range(max(0, z - up), min(counts.shape[0], z + up + 1)):
                    for j in range(max(0, y - 1), min(counts.shape[1], y + 2)):
                        for i in range(max(0, x - 1), min(counts.shape[2], x + 2)):
                            a, b, c = k - seeds[n, 0] + steps, j - seeds[n, 1] + steps, i - seeds[n, 2] + steps
                            if a < 0 or b < 0 or c < 0 or a >= side or b >= side or c >= side:
                                continue
                            if counts[k, j, i] > least and not reached[a, b, c]:
                                reached[a, b, c] = True
                                queue[tail, 0], queue[tail, 1], queue[tail, 2] = k, j, i
                                tail += 1
