"""Follow particles along the flow by Euler steps, in integers, relative to where each one started.

Flows are int16 with `FLOW_BITS` fractional bits, displacements int32 with `POSITION_BITS`; sampling is trilinear at
voxel centres with a rounding after each axis. Every operation is on integers, so the end of a path does not depend on
the window it was followed in, the machine or the number of threads (method: Stringer et al. 2021, Nat. Methods 18:100,
"Cellpose", Gradient flow tracking; integers, exact early stop and hand-over are ours).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from bigcell.core.box import Box
from bigcell.core.volume import Array

POSITION_BITS = 12
_ONE = 1 << POSITION_BITS


@dataclass(frozen=True)
class Particles:
    """Particles on their way: start voxels (n, 3) int64, displacement (n, 3) int32, steps done (n,) int32."""

    start: Array
    displacement: Array
    steps: Array

    @classmethod
    def at(cls, start: Array) -> Particles:
        """Particles that have not moved yet."""
        n = len(start)
        return cls(np.asarray(start, np.int64), np.zeros((n, 3), np.int32), np.zeros(n, np.int32))

    @classmethod
    def join(cls, parts: Sequence[Particles]) -> Particles:
        """All particles of `parts`."""
        every = [cls.at(np.zeros((0, 3))), *parts]
        return cls(*(np.concatenate([getattr(p, f) for p in every]) for f in ("start", "displacement", "steps")))

    def __len__(self) -> int:
        return len(self.start)

    def take(self, which: Array) -> Particles:
        return Particles(self.start[which], self.displacement[which], self.steps[which])

    @property
    def position(self) -> Array:
        """The voxel whose corner lies at or below each particle, (n, 3) int64."""
        return self._voxel(0)

    @property
    def end(self) -> Array:
        """The voxel nearest to each particle, (n, 3) int64."""
        return self._voxel(_ONE // 2)

    def _voxel(self, rounding: int) -> Array:
        voxel: Array = self.start + ((self.displacement + rounding) >> POSITION_BITS)
        return voxel


def foreground_flow(flows: Array, logit_threshold: int) -> tuple[Array, Array]:
    """Mask (z, y, x) of the foreground and flow (3, z, y, x), zero outside it, of integer `flows` (4, z, y, x)."""
    return foreground_flow_into(flows.copy(), logit_threshold)


def foreground_flow_into(flows: Array, logit_threshold: int) -> tuple[Array, Array]:
    """As `foreground_flow`, but the background of `flows` itself is set to zero and no copy is held."""
    mask = flows[3] > logit_threshold
    flow = flows[:3]
    np.multiply(flow, mask, out=flow)
    return mask, flow


def follow(
    flow: Array, window: Box, extent: tuple[int, ...], particles: Particles, niter: int
) -> tuple[Particles, Array]:
    """Follow `particles` for up to `niter` steps in all, within `window`.

    `flow` is int16 (3, *window), zero in the background. Returns the particles as they are now, and whether each one
    `escaped` (bool): it needs flow outside the window and goes on elsewhere. A particle stops early when it has reached
    a fixed point or a cycle of two positions; the result equals that of all `niter` steps.
    """
    state = np.zeros((len(particles), 5), np.int32)
    state[:, :3], state[:, 3] = particles.displacement, particles.steps
    _follow(np.ascontiguousarray(flow), np.array(window.start), np.array(extent), particles.start, state, niter)
    return Particles(particles.start, state[:, :3], state[:, 3]), state[:, 4] > 0


@njit(cache=True, inline="always")
def _lerp(a, b, w, shift):  # type: ignore[no-untyped-def]
    """a + (b - a) * w / 4096, rounded, with `shift` of the 12 bits taken off."""
    return (np.int64(a) * (4096 - w) + np.int64(b) * w + (1 << (shift - 1))) >> shift


@njit(cache=True, inline="always")
def _sample(f, i, j, w):  # type: ignore[no-untyped-def]
    """Trilinear sample of one component in Q16: x first, then y, then z."""
    z0y0 = _lerp(f[i[0], i[1], i[2]], f[i[0], i[1], j[2]], w[2], 6)
    z0y1 = _lerp(f[i[0], j[1], i[2]], f[i[0], j[1], j[2]], w[2], 6)
    z1y0 = _lerp(f[j[0], i[1], i[2]], f[j[0], i[1], j[2]], w[2], 6)
    z1y1 = _lerp(f[j[0], j[1], i[2]], f[j[0], j[1], j[2]], w[2], 6)
    return _lerp(_lerp(z0y0, z0y1, w[1], 12), _lerp(z1y0, z1y1, w[1], 12), w[0], 12)


@njit(cache=True)
def _path(flow, origin, extent, start, now, t, niter):  # type: ignore[no-untyped-def]
    """One particle: displacement, steps done and whether it escaped."""
    s0, s1, s2 = start
    a, b, c = now
    pa, pb, pc = a, b, c
    begun = t
    while t < niter:
        i = (s0 + (a >> 12) - origin[0], s1 + (b >> 12) - origin[1], s2 + (c >> 12) - origin[2])
        w = (a & 4095, b & 4095, c & 4095)
        # the upper neighbour: none is needed at a voxel centre, none exists beyond the volume
        j = (
            i[0] + (1 if w[0] > 0 and i[0] + origin[0] < extent[0] - 1 else 0),
            i[1] + (1 if w[1] > 0 and i[1] + origin[1] < extent[1] - 1 else 0),
            i[2] + (1 if w[2] > 0 and i[2] + origin[2] < extent[2] - 1 else 0),
        )
        if min(i) < 0 or j[0] >= flow.shape[1] or j[1] >= flow.shape[2] or j[2] >= flow.shape[3]:
            return a, b, c, t, True
        na = min(max(a + ((_sample(flow[0], i, j, w) + 8) >> 4), -s0 * 4096), (extent[0] - 1 - s0) * 4096)
        nb = min(max(b + ((_sample(flow[1], i, j, w) + 8) >> 4), -s1 * 4096), (extent[1] - 1 - s1) * 4096)
        nc = min(max(c + ((_sample(flow[2], i, j, w) + 8) >> 4), -s2 * 4096), (extent[2] - 1 - s2) * 4096)
        t += 1
        if na == a and nb == b and nc == c:
            break
        if t > begun + 1 and na == pa and nb == pb and nc == pc:
            if (niter - t) % 2 == 0:
                a, b, c = na, nb, nc
            break
        pa, pb, pc = a, b, c
        a, b, c = na, nb, nc
    return a, b, c, t, False


@njit(cache=True, parallel=True)
def _follow(flow, origin, extent, start, state, niter):  # type: ignore[no-untyped-def]
    """Advance `state` (n, 5): displacement, steps done, escaped. One array, as numba drops writes into several."""
    for n in prange(start.shape[0]):
        here = (start[n, 0], start[n, 1], start[n, 2])
        now = (np.int64(state[n, 0]), np.int64(state[n, 1]), np.int64(state[n, 2]))
        a, b, c, t, out = _path(flow, origin, extent, here, now, np.int64(state[n, 3]), niter)
        state[n, 0], state[n, 1], state[n, 2], state[n, 3], state[n, 4] = a, b, c, t, out
