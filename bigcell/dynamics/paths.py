"""The path of one particle, in integers: every step in registers, stopped early when it can only repeat itself.

Positions are in a window, with `POSITION_BITS` fractional bits; flows have `FLOW_BITS`. Sampling is trilinear, x first,
then y, then z, with a rounding after each axis, so that the result is the same on any machine. "centre" samples the
flow where the particle is. "cellpose" samples it where Cellpose's array library does: at p * W / (W - 1) - 1/2 along an
axis of W voxels, zero beyond the volume; W is the whole volume's, so this too is the same in any window.
"""

from __future__ import annotations

import numpy as np
from numba import njit

POSITION_BITS = 12
ONE = 1 << POSITION_BITS
BACKGROUND, ESCAPED = -1, -2
"""In the place of an end: where no particle starts, and where one starts that goes on in another window."""
ROUND = 8
"""Steps after which a path looks anew whether it comes back to where it is."""


@njit(cache=True, inline="always")
def _lerp(a, b, w, shift):  # type: ignore[no-untyped-def]
    """a + (b - a) * w / 4096, rounded, with `shift` of the 12 bits taken off."""
    return (a * 4096 + (b - a) * w + (1 << (shift - 1))) >> shift


@njit(cache=True, inline="always")
def _mix(f, k, off, w):  # type: ignore[no-untyped-def]
    """Trilinear sample, in Q16, of the component `f` around raster place `k`; `off` leads to the upper neighbours."""
    oz, oy, ox = off
    wz, wy, wx = w
    a = _lerp(np.int64(f[k]), np.int64(f[k + ox]), wx, 6)
    b = _lerp(np.int64(f[k + oy]), np.int64(f[k + oy + ox]), wx, 6)
    near = _lerp(a, b, wy, 12)
    if wz == 0:
        return near
    k += oz
    a = _lerp(np.int64(f[k]), np.int64(f[k + ox]), wx, 6)
    b = _lerp(np.int64(f[k + oy]), np.int64(f[k + oy + ox]), wx, 6)
    return _lerp(near, _lerp(a, b, wy, 12), wz, 12)


@njit(cache=True, inline="always")
def _held(f, inside, k):  # type: ignore[no-untyped-def]
    """The flow at place `k`, zero beyond the volume."""
    return np.int64(f[k]) if inside else np.int64(0)


@njit(cache=True, nogil=True)
def _mix_edge(f, shape, i, w, low, high):  # type: ignore[no-untyped-def]
    """As `_mix` around voxel `i`, with zero for neighbours beyond `low` and `high`, the volume's first and last."""
    k = i[0] * shape[3] + i[1] * shape[2] + i[2]
    far, up = shape[3], shape[2]
    z0, z1 = low[0] <= i[0], w[0] > 0 and i[0] < high[0]
    y0, y1 = low[1] <= i[1], w[1] > 0 and i[1] < high[1]
    x0, x1 = low[2] <= i[2], w[2] > 0 and i[2] < high[2]
    a = _lerp(_held(f, z0 and y0 and x0, k), _held(f, z0 and y0 and x1, k + 1), w[2], 6)
    b = _lerp(_held(f, z0 and y1 and x0, k + up), _held(f, z0 and y1 and x1, k + up + 1), w[2], 6)
    near = _lerp(a, b, w[1], 12)
    k += far
    a = _lerp(_held(f, z1 and y0 and x0, k), _held(f, z1 and y0 and x1, k + 1), w[2], 6)
    b = _lerp(_held(f, z1 and y1 and x0, k + up), _held(f, z1 and y1 and x1, k + up + 1), w[2], 6)
    return _lerp(near, _lerp(a, b, w[1], 12), w[0], 12)


@njit(cache=True, nogil=True)
def path_centre(flow, shape, bounds, flat, start, t, niter):  # type: ignore[no-untyped-def]
    """Follow one particle from `start`: position, steps done, and whether it needs flow outside the window.

    `flow` (3, voxels) int16 of a window; `shape`: its voxels along z, y and x, and from one plane to the next.
    `bounds`: first and last voxel (z, y, x) of the volume, as places in the window. `flat`: no movement along z.
    """
    fz, fy, fx = flow[0], flow[1], flow[2]
    nz, ny, nx, plane = shape
    low, high = bounds
    z, y, x = start
    az, ay, ax = z, y, x
    begun = t
    while t < niter:
        w = (z & 4095, y & 4095, x & 4095)
        i, j, k = z >> 12, y >> 12, x >> 12
        up, right, far = np.int64(w[1] > 0), np.int64(w[2] > 0), np.int64(w[0] > 0)  # none is needed at a voxel centre
        if i < 0 or j < 0 or k < 0 or i + far >= nz or j + up >= ny or k + right >= nx:
            return z, y, x, t, True
        place = i * plane + j * nx + k
        off = (far * plane, up * nx, right)
        mz = z if flat else min(max(z + ((_mix(fz, place, off, w) + 8) >> 4), low[0] * 4096), high[0] * 4096)
        my = min(max(y + ((_mix(fy, place, off, w) + 8) >> 4), low[1] * 4096), high[1] * 4096)
        mx = min(max(x + ((_mix(fx, place, off, w) + 8) >> 4), low[2] * 4096), high[2] * 4096)
        t += 1
        if mz == z and my == y and mx == x:
            break
        z, y, x = mz, my, mx
        if z == az and y == ay and x == ax:  # it goes round: what is left are the steps of the last, unfinished round
            niter = t + (niter - t) % (t - begun)
        elif t - begun == ROUND:
            az, ay, ax, begun = z, y, x, t
    return z, y, x, t, False


@njit(cache=True, inline="always")
def _shifted(p, low, high, still):  # type: ignore[no-untyped-def]
    """Where Cellpose samples for a particle at `p`, of an axis whose first and last voxel are `low` and `high`."""
    if still:
        return p
    length = high - low
    rounded = np.float64(p - low * 4096 + (length >> 1)) / np.float64(length)  # at most 4097: its floor is exact
    return p + np.int64(rounded) - 2048


@njit(cache=True, nogil=True, error_model="numpy")
def path_cellpose(flow, shape, bounds, flat, start, t, niter):  # type: ignore[no-untyped-def]
    """As `path_centre`, sampled where Cellpose samples."""
    nz, ny, nx, plane = shape
    low, high = bounds
    z, y, x = start
    az, ay, ax = z, y, x
    begun = t
    while t < niter:
        sz = _shifted(z, low[0], high[0], flat or high[0] == low[0])
        sy = _shifted(y, low[1], high[1], high[1] == low[1])
        sx = _shifted(x, low[2], high[2], high[2] == low[2])
        w = (sz & 4095, sy & 4095, sx & 4095)
        i, j, k = sz >> 12, sy >> 12, sx >> 12
        far, up, right = np.int64(w[0] > 0), np.int64(w[1] > 0), np.int64(w[2] > 0)
        if (
            max(i, low[0]) < 0 or min(i + far, high[0]) >= nz
            or max(j, low[1]) < 0 or min(j + up, high[1]) >= ny
            or max(k, low[2]) < 0 or min(k + right, high[2]) >= nx
        ):  # fmt: skip
            return z, y, x, t, True
        inner = i >= low[0] and j >= low[1] and k >= low[2] and i < high[0] + 1 - far
        if inner and j < high[1] + 1 - up and k < high[2] + 1 - right:
            place = i * plane + j * nx + k
            off = (far * plane, up * nx, right)
            dz = np.int64(0) if flat else _mix(flow[0], place, off, w)
            dy, dx = _mix(flow[1], place, off, w), _mix(flow[2], place, off, w)
        else:
            dz = np.int64(0) if flat else _mix_edge(flow[0], shape, (i, j, k), w, low, high)
            dy = _mix_edge(flow[1], shape, (i, j, k), w, low, high)
            dx = _mix_edge(flow[2], shape, (i, j, k), w, low, high)
        mz = min(max(z + ((dz + 8) >> 4), low[0] * 4096), high[0] * 4096)
        my = min(max(y + ((dy + 8) >> 4), low[1] * 4096), high[1] * 4096)
        mx = min(max(x + ((dx + 8) >> 4), low[2] * 4096), high[2] * 4096)
        t += 1
        if mz == z and my == y and mx == x:
            break
        z, y, x = mz, my, mx
        if z == az and y == ay and x == ax:  # it goes round: what is left are the steps of the last, unfinished round
            niter = t + (niter - t) % (t - begun)
        elif t - begun == ROUND:
            az, ay, ax, begun = z, y, x, t
    return z, y, x, t, False


@njit(cache=True, inline="always")
def frame_parts(frame):  # type: ignore[no-untyped-def]
    """Shape and bounds, as the paths take them, of a frame of `bigcell.dynamics.follow`."""
    shape = (frame[0, 0], frame[0, 1], frame[0, 2], frame[0, 3])
    return shape, ((frame[1, 0], frame[1, 1], frame[1, 2]), (frame[2, 0], frame[2, 1], frame[2, 2]))


@njit(cache=True, inline="always")
def landing(shape, end, half):  # type: ignore[no-untyped-def]
    """The raster place in the window where a path ends; `ESCAPED` beyond it. `half`: added before the fraction goes."""
    i, j, k = (end[0] + half) >> 12, (end[1] + half) >> 12, (end[2] + half) >> 12
    if min(i, j, k) < 0 or i >= shape[0] or j >= shape[1] or k >= shape[2]:
        return ESCAPED
    return (i * shape[1] + j) * shape[2] + k
