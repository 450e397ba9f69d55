"""Follow particles along the flow by Euler steps, in integers, relative to where each one started.

Flows are int16 with `FLOW_BITS` fractional bits, displacements int32 with `POSITION_BITS`. Every operation is on
integers, so the end of a path does not depend on the window it was followed in, the machine or the number of threads
(method: Stringer et al. 2021, Nat. Methods 18:100, "Cellpose", Gradient flow tracking; integers, exact early stop and
hand-over are ours). What one step does stands in `bigcell.dynamics.paths`; `bigcell.dynamics.simd_follow` does it for
many particles at once, where it can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import get_num_threads, njit, prange

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.dynamics.paths import (
    BACKGROUND,
    ESCAPED,
    ONE,
    POSITION_BITS,
    frame_parts,
    landing,
    path_cellpose,
    path_centre,
)
from bigcell.dynamics.settings import DynamicsSettings, Sampling
from bigcell.dynamics.simd_follow import follow_lanes, lanes_can_follow


@dataclass(frozen=True)
class Particles:
    """Particles on their way: start voxels (n, 3) int64, displacement (n, 3) int32, steps done (n,) int32.

    Of one that has arrived all steps are done, however early it came to rest.
    """

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
        """The voxel nearest to each particle, (n, 3) int64. A window that reaches a voxel further can move it on."""
        return self._voxel(rounding("centre"))

    @property
    def end(self) -> Array:
        """The voxel nearest to each particle, (n, 3) int64: where it counts."""
        return self.position

    def landed(self, sampling: Sampling) -> Array:
        """The voxel each particle counts for, (n, 3) int64: the nearest, or with "cellpose" the one at or below it."""
        return self._voxel(rounding(sampling))

    def _voxel(self, half: int) -> Array:
        voxel: Array = self.start + ((self.displacement + half) >> POSITION_BITS)
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


def flow_array(shape: tuple[int, ...]) -> Array:
    """Zeros int16 (c, z, y, x) for flow that is to be followed. Planes never stand a multiple of a page apart: a
    particle's neighbours in many planes would then share a few places of the cache."""
    plane = shape[2] * shape[3]
    gap = 64 if plane % 2048 == 0 and shape[1] > 1 else 0
    return np.zeros((*shape[:2], plane + gap), np.int16)[..., :plane].reshape(shape)


def as_planes(flow: Array) -> tuple[Array, int]:
    """Flow (c, z, y, x) as (c, voxels) with what stands between its planes, and the voxels from plane to plane."""
    (depth, rows, columns), size = flow.shape[1:], flow.itemsize
    plane = flow.strides[1] // size if depth > 1 else rows * columns
    if plane < rows * columns or flow.strides != tuple(size * n for n in (depth * plane, plane, columns, 1)):
        flow, plane = np.ascontiguousarray(flow), rows * columns
    shape = (len(flow), depth * plane)
    return np.lib.stride_tricks.as_strided(flow, shape, (size * depth * plane, size), writeable=False), plane


def rounding(sampling: Sampling) -> int:
    """What is added to a position before its fraction is cut off."""
    return ONE // 2 if sampling == "centre" else 0


def follow(
    flow: Array, window: Box, extent: tuple[int, ...], particles: Particles, settings: DynamicsSettings
) -> tuple[Particles, Array]:
    """Follow `particles` for up to `settings.niter` steps in all, within `window`.

    `flow` is int16 (3, *window), zero in the background. Returns the particles as they are now, and whether each one
    `escaped` (bool): it needs flow outside the window and goes on elsewhere. A particle stops early when it has reached
    a fixed point or goes round in a cycle; the result equals that of all `niter` steps. With `settings.planar` none
    leaves its plane.
    """
    state = np.zeros((len(particles), 5), np.int32)
    state[:, :3], state[:, 3] = particles.displacement, particles.steps
    flat, plane = as_planes(flow)
    _follow(flat, _frame(window, window, extent, plane), particles.start, state, _rule(extent, settings))
    return Particles(particles.start, state[:, :3], state[:, 3]), state[:, 4] > 0


def follow_core(
    flow: Array, mask: Array, window: Box, core: Box, extent: tuple[int, ...], settings: DynamicsSettings
) -> tuple[Array, Particles]:
    """Follow every voxel of `mask` (bool, *core) from its own centre: as `follow`, without a table of particles.

    Returns ends (*core), int32 (int64 in a window of 2^31 voxels and more): the raster place *in the window* that each
    particle counts for (`Particles.landed`), `BACKGROUND` outside the mask, `ESCAPED` for the particles that left or
    came to rest beyond the window; and these, in raster order.
    """
    flat, plane = as_planes(flow)
    frame, rule, threads = _frame(window, core, extent, plane), _rule(extent, settings), get_num_threads()
    mask = np.ascontiguousarray(mask)
    ends = np.empty(core.shape, np.int32 if window.size < 2**31 else np.int64)
    if rule[1] or rule[2] or not lanes_can_follow(flat, window):
        _follow_core(flat, mask, ends, frame, rule, np.array([rounding(settings.sampling), threads]))
    else:
        follow_lanes(flat, mask, ends, frame, settings.niter, threads)
    left = Particles.at(np.argwhere(ends == ESCAPED) + np.array(core.start))
    if len(left):
        left, _ = follow(flow, window, extent, left, settings)
    return ends, left


def _frame(window: Box, core: Box, extent: tuple[int, ...], plane: int) -> Array:
    """Shape of the window and voxels from plane to plane, first and last voxel of the volume and first voxel of the
    core in it: int64 (4, 4)."""
    origin = np.array(window.start)
    rows = [window.shape, -origin, np.array(extent) - 1 - origin, np.array(core.start) - origin]
    return np.array([(*row, plane) for row in rows], np.int64)


def _rule(extent: tuple[int, ...], settings: DynamicsSettings) -> Array:
    """Steps, whether planes are kept to, whether sampled as Cellpose does."""
    flat = settings.planar or extent[0] == 1
    return np.array([settings.niter, flat, settings.sampling == "cellpose"], np.int64)


@njit(cache=True, nogil=True)
def _path(flow, frame, rule, start, t):  # type: ignore[no-untyped-def]
    """One particle from `start`, by the path that the rule names."""
    shape, bounds = frame_parts(frame)
    if rule[2] == 0:
        return path_centre(flow, shape, bounds, rule[1] > 0, start, t, rule[0])
    return path_cellpose(flow, shape, bounds, rule[1] > 0, start, t, rule[0])


@njit(cache=True, nogil=True, parallel=True)
def _follow(flow, frame, start, state, rule):  # type: ignore[no-untyped-def]
    """Advance `state` (n, 5): displacement, steps done, escaped. One array, as numba drops writes into several."""
    for n in prange(start.shape[0]):
        oz, oy, ox = (
            (start[n, 0] + frame[1, 0]) * 4096,
            (start[n, 1] + frame[1, 1]) * 4096,
            (start[n, 2] + frame[1, 2]) * 4096,
        )
        now = (oz + state[n, 0], oy + state[n, 1], ox + state[n, 2])
        z, y, x, t, out = _path(flow, frame, rule, now, np.int64(state[n, 3]))
        state[n, 0], state[n, 1], state[n, 2] = z - oz, y - oy, x - ox
        state[n, 3], state[n, 4] = t if out else rule[0], out


@njit(cache=True, nogil=True, parallel=True)
def _follow_core(flow, mask, ends, frame, rule, how):  # type: ignore[no-untyped-def]
    """`how`: what is added before a fraction is cut off, and the number of threads."""
    rows, every, half, threads = mask.shape[1], mask.shape[0] * mask.shape[1], how[0], how[1]
    share = (every + threads - 1) // threads
    for r in prange(share * threads):
        row = (r % share) * threads + r // share  # threads take turns, as cells may all lie on one side
        if row >= every:
            continue
        a, b = row // rows, row % rows
        for c in range(mask.shape[2]):
            if not mask[a, b, c]:
                ends[a, b, c] = BACKGROUND
                continue
            start = ((a + frame[3, 0]) * 4096, (b + frame[3, 1]) * 4096, (c + frame[3, 2]) * 4096)
            z, y, x, _, out = _path(flow, frame, rule, start, 0)
            ends[a, b, c] = ESCAPED if out else landing(frame[0], (z, y, x), half)
