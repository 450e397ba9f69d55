"""Following particles on CUDA: one kernel takes each particle to its end, its position in registers all the way.

`move` is for `bigcell.dynamics.follow_torch.follow_torch` and `follow_core_torch`, in the place of their plain one.
Same integers as `bigcell.dynamics.paths`, and the same tensors as `bigcell.dynamics.follow_torch`. Nothing is written
before a particle is done, so what limits it is the reading of flow: eight 64-bit corners a step, most of them from
cache, since the particles of a block start side by side and stay near each other.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from bigcell.dynamics.follow_torch import DeviceFlow

BLOCK = 128
"""Particles of one block of threads, which ends when its last particle does."""


def move(
    field: DeviceFlow, at: torch.Tensor, steps: torch.Tensor, niter: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The `bigcell.dynamics.follow_torch.Move` of one fused kernel. Writes into `at` and `steps`."""
    escaped = torch.zeros(len(steps), dtype=torch.int8, device=at.device)
    at = at.contiguous()
    if len(steps):
        grid = (triton.cdiv(len(steps), BLOCK),)
        bounds = (*field.shape, *field.low, *field.high)
        _follow[grid](
            field.packed, at, steps, escaped, len(steps), niter, *bounds, field.flat, field.cellpose, block=BLOCK
        )
    return at, steps, escaped > 0


@triton.jit
def _lerp(a, b, w, shift: tl.constexpr):  # type: ignore[no-untyped-def]
    """a + (b - a) * w / 4096, rounded, with `shift` of the 12 bits taken off; all int64."""
    return (a * 4096 + (b - a) * w + (1 << (shift - 1))) >> shift


@triton.jit
def _corner(packed, z, y, x, nz, ny, nx, lz, ly, lx, hz, hy, hx, go):  # type: ignore[no-untyped-def]
    """The packed flow at voxels of the window; zero beyond the volume and for particles that do not go."""
    inside = go & (z >= lz) & (z <= hz) & (y >= ly) & (y <= hy) & (x >= lx) & (x <= hx)
    place = (z.to(tl.int64) * ny + y) * nx + x
    return tl.load(packed + place, mask=inside, other=0)


@triton.jit
def _mix(c000, c001, c010, c011, c100, c101, c110, c111, wz, wy, wx):  # type: ignore[no-untyped-def]
    """Trilinear sample in Q16 of eight corners: x first, then y, then z."""
    near = _lerp(_lerp(c000, c001, wx, 6), _lerp(c010, c011, wx, 6), wy, 12)
    far = _lerp(_lerp(c100, c101, wx, 6), _lerp(c110, c111, wx, 6), wy, 12)
    return ((_lerp(near, far, wz, 12) + 8) >> 4).to(tl.int32)


@triton.jit
def _shifted(p, low, high, still):  # type: ignore[no-untyped-def]
    """Where Cellpose samples for particles at `p`, of an axis whose first and last voxel are `low` and `high`."""
    length = tl.maximum(high - low, 1)
    sampled = p + (p - low * 4096 + length // 2) // length - 2048  # no negative number is divided
    return tl.where(still | (high == low), p, sampled)


# Plain numbers: a kernel for every size of window that comes by would be compiled anew.
@triton.jit(do_not_specialize=["n", "niter", "nz", "ny", "nx", "lz", "ly", "lx", "hz", "hy", "hx"])
def _follow(  # type: ignore[no-untyped-def]
    packed, at, steps, escaped, n, niter,
    nz, ny, nx, lz, ly, lx, hz, hy, hx,
    flat: tl.constexpr, cellpose: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    me = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    mine = me < n
    z = tl.load(at + me, mask=mine, other=0)
    y = tl.load(at + n + me, mask=mine, other=0)
    x = tl.load(at + 2 * n + me, mask=mine, other=0)
    t = tl.load(steps + me, mask=mine, other=niter)
    begun = t
    qz, qy, qx = z, y, x
    out = tl.zeros([block], tl.int32)
    alive = (mine & (t < niter)).to(tl.int32)
    while tl.max(alive, axis=0) > 0:
        if cellpose:
            sz = _shifted(z, lz, hz, flat)
            sy = _shifted(y, ly, hy, False)
            sx = _shifted(x, lx, hx, False)
        else:
            sz, sy, sx = z, y, x
        i, j, k = sz >> 12, sy >> 12, sx >> 12
        wz, wy, wx = (sz & 4095).to(tl.int64), (sy & 4095).to(tl.int64), (sx & 4095).to(tl.int64)
        iu, ju, ku = i + (wz > 0).to(tl.int32), j + (wy > 0).to(tl.int32), k + (wx > 0).to(tl.int32)
        inside = (tl.maximum(i, lz) >= 0) & (tl.minimum(iu, hz) < nz)
        inside &= (tl.maximum(j, ly) >= 0) & (tl.minimum(ju, hy) < ny)
        inside &= (tl.maximum(k, lx) >= 0) & (tl.minimum(ku, hx) < nx)
        left = (alive > 0) & (inside == 0)
        go = (alive > 0) & inside
        out = tl.where(left, 1, out)
        a = _corner(packed, i, j, k, nz, ny, nx, lz, ly, lx, hz, hy, hx, go)
        b = _corner(packed, i, j, ku, nz, ny, nx, lz, ly, lx, hz, hy, hx, go)
        c = _corner(packed, i, ju, k, nz, ny, nx, lz, ly, lx, hz, hy, hx, go)
        d = _corner(packed, i, ju, ku, nz, ny, nx, lz, ly, lx, hz, hy, hx, go)
        e = _corner(packed, iu, j, k, nz, ny, nx, lz, ly, lx, hz, hy, hx, go)
        f = _corner(packed, iu, j, ku, nz, ny, nx, lz, ly, lx, hz, hy, hx, go)
        g = _corner(packed, iu, ju, k, nz, ny, nx, lz, ly, lx, hz, hy, hx, go)
        h = _corner(packed, iu, ju, ku, nz, ny, nx, lz, ly, lx, hz, hy, hx, go)
        mz = z
        if not flat:
            dz = _mix(
                (a << 48) >> 48, (b << 48) >> 48, (c << 48) >> 48, (d << 48) >> 48,
                (e << 48) >> 48, (f << 48) >> 48, (g << 48) >> 48, (h << 48) >> 48, wz, wy, wx,
            )  # fmt: skip
            mz = tl.minimum(tl.maximum(z + dz, lz * 4096), hz * 4096)
        dy = _mix(
            (a << 32) >> 48, (b << 32) >> 48, (c << 32) >> 48, (d << 32) >> 48,
            (e << 32) >> 48, (f << 32) >> 48, (g << 32) >> 48, (h << 32) >> 48, wz, wy, wx,
        )  # fmt: skip
        dx = _mix(a >> 32, b >> 32, c >> 32, d >> 32, e >> 32, f >> 32, g >> 32, h >> 32, wz, wy, wx)
        my = tl.minimum(tl.maximum(y + dy, ly * 4096), hy * 4096)
        mx = tl.minimum(tl.maximum(x + dx, lx * 4096), hx * 4096)
        t += go.to(tl.int32)
        still = (mz == z) & (my == y) & (mx == x)
        back = (t > begun + 1) & (mz == qz) & (my == qy) & (mx == qx)
        on = go & (still == 0) & (back == 0)
        moves = on | (go & back & (still == 0) & ((niter - t) % 2 == 0))
        qz, qy, qx = tl.where(on, z, qz), tl.where(on, y, qy), tl.where(on, x, qx)
        z, y, x = tl.where(moves, mz, z), tl.where(moves, my, y), tl.where(moves, mx, x)
        alive = (on & (t < niter)).to(tl.int32)
    tl.store(at + me, z, mask=mine)
    tl.store(at + n + me, y, mask=mine)
    tl.store(at + 2 * n + me, x, mask=mine)
    tl.store(steps + me, t, mask=mine)
    tl.store(escaped + me, out.to(tl.int8), mask=mine)
