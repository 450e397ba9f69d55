"""Many particles at once: `path_centre` of `bigcell.dynamics.paths`, with a particle in every lane of a vector.

The particles of a batch take each step together, in a loop without a branch that LLVM turns into vector instructions,
as many particles to one as the machine has room for. All is 32-bit: with flows of at most `FASTEST`, differences in Q16
are below 2^19, and times a weight of at most 2^12 they stay below 2^31. So the integers are those of the plain path.
Every `ROUND` steps the particles that have come to rest, go round in a cycle or have left the window make room.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from bigcell.core.box import Box
from bigcell.core.volume import Array
from bigcell.dynamics.llvm_noalias import lerp, pair_at, state_at, state_put
from bigcell.dynamics.paths import BACKGROUND, ESCAPED, ROUND, frame_parts, landing, path_centre

FASTEST = 4095
"""Largest component of flow, a little under four voxels a step, that 32 bits can follow."""
LONGEST = 2**19 - 16
"""Voxels of the longest side of a window whose positions 32 bits hold."""
BATCH = 512
"""Particles that move together: what is known of them fits in the nearest cache."""
WIDTH = 16
"""Particles in the widest vector: steps are for whole vectors, as what remains would go one by one."""
Z, Y, X, AZ, AY, AX, HOW, WHO = range(8)
"""Rows of the state of a batch: position, position when the round began (the anchor), what has become of the particle
(0: on its way, `LEFT`, or the length of the cycle it is in), and the raster place in the core where it started."""
LEFT = -1


def lanes_can_follow(flow: Array, window: Box) -> bool:
    """Whether 32 bits hold what happens in a `window` with int16 `flow`, (3, voxels) or (3, *window)."""
    if min(window.shape) < 2 or max(window.shape) > LONGEST or flow[0].size >= 2**31:
        return False
    return int(flow.min()) >= -FASTEST and int(flow.max()) <= FASTEST


@njit(cache=True, nogil=True, parallel=True)
def follow_lanes(flow, mask, ends, frame, niter, threads):  # type: ignore[no-untyped-def]
    """Ends, raster places in the window, of all voxels of `mask`; `BACKGROUND` outside it, `ESCAPED` for who left.

    `flow` (3, voxels), `frame` as in `bigcell.dynamics.follow`; threads take rows in turns, as cells may all lie on one
    side.
    """
    for thread in prange(threads):
        _rows(flow, mask, ends.reshape(-1), frame, niter, (thread, threads))


@njit(cache=True, nogil=True)
def _rows(flow, mask, ends, frame, niter, turn):  # type: ignore[no-untyped-def]
    """What one thread does: its rows, gathered to batches."""
    rows, length = mask.shape[1], mask.shape[2]
    state = np.zeros((8, BATCH), np.int32)
    n = 0
    for row in range(turn[0], mask.shape[0] * rows, turn[1]):
        a, b = row // rows, row % rows
        for c in range(length):
            if not mask[a, b, c]:
                ends[row * length + c] = BACKGROUND
                continue
            state[Z, n], state[Y, n] = (a + frame[3, 0]) * 4096, (b + frame[3, 1]) * 4096
            state[X, n], state[WHO, n] = (c + frame[3, 2]) * 4096, row * length + c
            n += 1
            if n == BATCH:
                _to_the_end(flow, frame, state, ends, n, niter)
                n = 0
    _to_the_end(flow, frame, state, ends, n, niter)


@njit(cache=True, nogil=True)
def _to_the_end(flow, frame, state, ends, n, niter):  # type: ignore[no-untyped-def]
    """Follow the first `n` particles of a batch to their ends."""
    steps = 0
    while n > 0:
        state[AZ:HOW, :n] = state[Z:AZ, :n]
        state[HOW, :n] = 0
        lanes = min(-(-n // WIDTH) * WIDTH, BATCH)  # those beyond n go along, and nobody looks at them
        for step in range(min(ROUND, niter - steps)):
            _step(flow, frame, state, lanes, step + 1)
        n = _parted(flow, frame, state, ends, n, niter - steps)
        steps += ROUND


@njit(cache=True, nogil=True)
def _parted(flow, frame, state, ends, n, steps):  # type: ignore[no-untyped-def]
    """Write the ends of those that need no other round, and move the others up: how many they are. `steps`: how many
    there were to do when the round began."""
    on = 0
    for lane in range(n):
        if state[HOW, lane] == 0 and steps > ROUND:
            for row in (Z, Y, X, WHO):
                state[row, on] = state[row, lane]
            on += 1
        else:
            ends[state[WHO, lane]] = _end(flow, frame, state[:, lane], steps)
    return on


@njit(cache=True, nogil=True)
def _end(flow, frame, particle, steps):  # type: ignore[no-untyped-def]
    """Where one particle counts, `steps` after its anchor."""
    now = (np.int64(particle[Z]), np.int64(particle[Y]), np.int64(particle[X]))
    if particle[HOW] == LEFT:
        return ESCAPED
    shape, bounds = frame_parts(frame)
    if particle[HOW] > 1 and steps % particle[HOW]:
        z, y, x, _, _ = path_centre(flow, shape, bounds, False, now, 0, steps % particle[HOW])
        now = (z, y, x)
    return landing(shape, now, 2048)


@njit(cache=True, inline="always")
def _mix(f, k, off, w):  # type: ignore[no-untyped-def]
    """Trilinear sample, in Q16, of the component `f` around raster place `k`; `off`: to the next plane and row."""
    a, b = pair_at(f, k), pair_at(f, np.int32(k + off[1]))
    near = lerp(_along(a, w[2]), _along(b, w[2]), w[1], 12)
    k = np.int32(k + off[0])
    a, b = pair_at(f, k), pair_at(f, np.int32(k + off[1]))
    return lerp(near, lerp(_along(a, w[2]), _along(b, w[2]), w[1], 12), w[0], 12)


@njit(cache=True, inline="always")
def _along(pair, w):  # type: ignore[no-untyped-def]
    """Between the two neighbours of a pair, in Q16. That weights have 13 bits lets LLVM multiply 16 by 16 bits."""
    a, b = np.int32(np.int32(pair << 16) >> 16), np.int32(pair >> 16)
    v, w = np.int32(np.int32(4096 - w) & 8191), np.int32(w & 8191)
    return np.int32(np.int32(np.int32(np.int32(a * v) + np.int32(b * w)) + 32) >> 6)


@njit(cache=True, inline="always")
def _limits(frame, axis):  # type: ignore[no-untyped-def]
    """Of an axis: last position in the window, last voxel that has a next one, first and last position in the volume,
    as far as a step can lead there."""
    n = frame[0, axis]
    low, high = max(frame[1, axis], -8) * 4096, min(frame[2, axis], n + 8) * 4096
    return np.int32((n - 1) * 4096), np.int32(n - 2), np.int32(low), np.int32(high)


@njit(cache=True, inline="always")
def _split(p, limits):  # type: ignore[no-untyped-def]
    """The voxel before a position (moved into the window), and the weight of the one after it, up to 4096."""
    held = min(max(p, np.int32(0)), limits[0])
    i = min(np.int32(held >> 12), limits[1])
    return i, np.int32(held - np.int32(i << 12)), held == p


@njit(cache=True, inline="always")
def _moved(p, way, limits):  # type: ignore[no-untyped-def]
    return min(max(np.int32(p + np.int32(np.int32(way + 8) >> 4)), limits[2]), limits[3])


@njit(cache=True, nogil=True, error_model="numpy")
def _step(flow, frame, state, n, step):  # type: ignore[no-untyped-def]
    """One step of the first `n` particles that are on their way. No branch: LLVM makes vectors of it."""
    of_z, of_y, of_x = _limits(frame, 0), _limits(frame, 1), _limits(frame, 2)
    off, step32 = (np.int32(frame[0, 3]), np.int32(frame[0, 2])), np.int32(step)
    fz, fy, fx = flow[0], flow[1], flow[2]
    for lane in range(n):
        z, y, x = state_at(state, Z, lane), state_at(state, Y, lane), state_at(state, X, lane)
        how = state_at(state, HOW, lane)
        i, wz, in_z = _split(z, of_z)
        j, wy, in_y = _split(y, of_y)
        k, wx, in_x = _split(x, of_x)
        place, w = np.int32(np.int32(np.int32(i * off[0]) + np.int32(j * off[1])) + k), (wz, wy, wx)
        mz = _moved(z, _mix(fz, place, off, w), of_z)
        my = _moved(y, _mix(fy, place, off, w), of_y)
        mx = _moved(x, _mix(fx, place, off, w), of_x)
        still = (mz == z) & (my == y) & (mx == x)
        back = (mz == state_at(state, AZ, lane)) & (my == state_at(state, AY, lane)) & (mx == state_at(state, AX, lane))
        inside, moving = in_z & in_y & in_x, how == 0
        goes = inside & moving
        state_put(state, Z, lane, mz if goes else z)
        state_put(state, Y, lane, my if goes else y)
        state_put(state, X, lane, mx if goes else x)
        cycle = np.int32(1) if still else (step32 if back else np.int32(0))
        state_put(state, HOW, lane, (cycle if inside else np.int32(LEFT)) if moving else how)
