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
from bigcell.dynamics.settings import GROW_COUNT, GROW_STEPS, SEED_COUNT, SEED_RADIUS, SINK_HALO


@dataclass(frozen=True)
class EndHistogram:
    """How many particles end where: global raster positions (n,) int64 ascending, counts (n,) int64."""

    position: Array
    count: Array

    @classmethod
    def of(cls, positions: Array) -> EndHistogram:
        """The histogram of the raster positions (n,) where particles end."""
        position, count = np.unique(positions, return_counts=True)
        return cls(position.astype(np.int64), count.astype(np.int64))

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


def map_sinks(histogram: EndHistogram, core: Box, extent: tuple[int, ...]) -> Lookup:
    """The sink of every end voxel in `core`: global raster position to name, 0 for none.

    `histogram` must be complete within `SINK_HALO` voxels of `core`; more than that does not change the result.
    """
    window = core.grow(SINK_HALO) & Box.of(extent)
    near = histogram.within(window, extent)
    wanted = near.within(core, extent)
    if len(wanted.position) == 0:
        return Lookup(wanted.position, wanted.count)
    counts = np.zeros(window.shape, np.int32)
    counts[_local(near.position, window, extent)] = near.count
    territory = _territories(counts)
    seed = territory[_local(wanted.position, window, extent)].astype(np.int64) - 1
    zyx = np.unravel_index(np.maximum(seed, 0), window.shape)
    name = np.ravel_multi_index(tuple(a + o for a, o in zip(zyx, window.start, strict=True)), extent) + 1
    return Lookup(wanted.position, np.where(seed >= 0, name, 0))


def _local(position: Array, window: Box, extent: tuple[int, ...]) -> tuple[Array, ...]:
    zyx = np.unravel_index(position, extent)
    return tuple(a - o for a, o in zip(zyx, window.start, strict=True))


def _territories(counts: Array) -> Array:
    """Raster index plus one of the sink whose territory holds each voxel of the window, 0 for none."""
    seeds = _seeds(counts, SEED_COUNT, SEED_RADIUS)
    flat = np.ravel_multi_index(tuple(seeds.T), counts.shape)
    ascending = np.lexsort((-flat, counts[tuple(seeds.T)]))
    owner = np.zeros(counts.shape, np.int32 if counts.size < 2**31 - 1 else np.int64)
    _grow(counts, seeds[ascending], flat[ascending] + 1, owner, (GROW_COUNT, GROW_STEPS))
    return owner


@njit(cache=True)
def _seeds(counts, least, radius):  # type: ignore[no-untyped-def]
    """Voxels (n, 3) above `least` that no voxel within `radius` beats: higher, or as high and earlier."""
    Z, Y, X = counts.shape  # noqa: N806
    found = []
    for z in range(Z):
        for y in range(Y):
            for x in range(X):
                h = counts[z, y, x]
                if h > least and _is_peak(counts, z, y, x, radius):
                    found.append((z, y, x))
    out = np.empty((len(found), 3), np.int64)
    for n in range(len(found)):
        out[n, 0], out[n, 1], out[n, 2] = found[n]
    return out


@njit(cache=True)
def _is_peak(counts, z, y, x, radius):  # type: ignore[no-untyped-def]
    h = counts[z, y, x]
    for k in range(max(0, z - radius), min(counts.shape[0], z + radius + 1)):
        for j in range(max(0, y - radius), min(counts.shape[1], y + radius + 1)):
            for i in range(max(0, x - radius), min(counts.shape[2], x + radius + 1)):
                other = counts[k, j, i]
                earlier = (k, j, i) < (z, y, x)
                if other > h or (other == h and earlier):
                    return False
    return True


@njit(cache=True)
def _grow(counts, seeds, names, owner, rule):  # type: ignore[no-untyped-def]
    """Write each seed's name over its territory, weakest first so that the strongest stands."""
    least, steps = rule
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
                for k in range(max(0, z - 1), min(counts.shape[0], z + 2)):
                    for j in range(max(0, y - 1), min(counts.shape[1], y + 2)):
                        for i in range(max(0, x - 1), min(counts.shape[2], x + 2)):
                            a, b, c = k - seeds[n, 0] + steps, j - seeds[n, 1] + steps, i - seeds[n, 2] + steps
                            if a < 0 or b < 0 or c < 0 or a >= side or b >= side or c >= side:
                                continue
                            if counts[k, j, i] > least and not reached[a, b, c]:
                                reached[a, b, c] = True
                                queue[tail, 0], queue[tail, 1], queue[tail, 2] = k, j, i
                                tail += 1
