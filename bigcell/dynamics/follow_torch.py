"""Following particles with torch, on any device: the integers of `bigcell.dynamics.follow`, many particles a step.

The three components of a voxel's flow stand in one 64-bit integer, so a corner of a trilinear sample is one read. Done
particles are taken out every few steps. What moves them on a CUDA device is `bigcell.dynamics.follow_triton`, where
there is Triton; this is the plain way, and the one for other devices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import Array
from bigcell.dynamics.follow import Particles, rounding
from bigcell.dynamics.paths import BACKGROUND, ESCAPED
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.flows.runner import LARGEST

BATCH = 1 << 21
"""Particles that move together: bounds what a step takes on the device to about half a gigabyte."""
COMPACT = 8
"""Steps between two looks for particles that are done."""
VOXELS_PER_PACK = 1 << 24
"""Voxels that are packed at once."""


@dataclass(frozen=True)
class DeviceFlow:
    """Flow of a window on a device. `packed` (voxels,) int64: x from bit 32, y from bit 16, z in the lowest 16 bits.

    `shape` of the window, `low` and `high`: the first and last voxel of the volume, as places in the window. `flat`: no
    movement along z. `cellpose`: sampled where Cellpose samples (see `bigcell.dynamics.paths`).
    """

    packed: torch.Tensor
    shape: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]
    flat: bool
    cellpose: bool

    @classmethod
    def of(
        cls, flow: Array, window: Box, extent: tuple[int, ...], settings: DynamicsSettings, device: torch.device
    ) -> DeviceFlow:
        """Bring int16 `flow` (3, *window) to `device`."""
        if window.size > LARGEST:
            raise InputError(f"a window of {window.shape} voxels is too large for a GPU; take smaller blocks")
        low = tuple(-a for a in window.start)
        high = tuple(n - 1 - a for n, a in zip(extent, window.start, strict=True))
        flat = settings.planar or extent[0] == 1
        return cls(_packed(flow, device), tuple(window.shape), low, high, flat, settings.sampling == "cellpose")


Move = Callable[[DeviceFlow, torch.Tensor, torch.Tensor, int], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
"""Moves particles: flow, positions (3, n) int32 in the window, steps done (n,) int32, niter; to the same, and escaped.

It may write into the tensors it is given."""


def follow_torch(
    flow: Array,
    window: Box,
    extent: tuple[int, ...],
    particles: Particles,
    settings: DynamicsSettings,
    *,
    device: str | torch.device = "cpu",
    mover: Move | None = None,
) -> tuple[Particles, Array]:
    """As `bigcell.dynamics.follow.follow`, bit for bit, on a torch `device`; `mover` (else `move`) does the steps."""
    there = DeviceFlow.of(flow, window, extent, settings, torch.device(device))
    return _follow_on(mover or move, there, window, particles, settings.niter)


def follow_core_torch(
    flow: Array,
    mask: Array,
    window: Box,
    core: Box,
    extent: tuple[int, ...],
    settings: DynamicsSettings,
    *,
    device: str | torch.device = "cpu",
    mover: Move | None = None,
) -> tuple[Array, Particles]:
    """As `bigcell.dynamics.follow.follow_core`, bit for bit, on a torch `device`; `mover` as in `follow_torch`."""
    there = DeviceFlow.of(flow, window, extent, settings, torch.device(device))
    return _follow_core_on(mover or move, there, mask, (window, core), settings.niter)


def _follow_on(
    mover: Move, field: DeviceFlow, window: Box, particles: Particles, niter: int
) -> tuple[Particles, Array]:
    """Follow `particles` with `mover`, batch by batch: where they are now, and which escaped."""
    origin = (particles.start - np.array(window.start)) << 12
    state = np.empty((5, len(particles)), np.int32)
    for first in range(0, len(particles), BATCH):
        part = slice(first, first + BATCH)
        position = (origin[part] + particles.displacement[part]).T.astype(np.int32)
        at = torch.from_numpy(np.ascontiguousarray(position)).to(field.packed.device)
        steps = torch.from_numpy(particles.steps[part].astype(np.int32)).to(at.device)
        at, steps, escaped = mover(field, at, steps, niter)
        state[:3, part] = at.cpu().numpy() - origin[part].T
        state[3, part] = torch.where(escaped, steps, niter).cpu().numpy()
        state[4, part] = escaped.cpu().numpy()
    done = Particles(particles.start, np.ascontiguousarray(state[:3].T), state[3].copy())
    return done, state[4] > 0


def _follow_core_on(
    mover: Move, field: DeviceFlow, mask: Array, boxes: tuple[Box, Box], niter: int
) -> tuple[Array, Particles]:
    """Follow every voxel of `mask` (bool, *core) with `mover`; `boxes` are window and core.

    Only the mask goes to the device, and only ends and the particles that escaped come back.
    """
    window, core = boxes
    device = field.packed.device
    lead = torch.tensor(np.subtract(core.start, window.start))
    half = rounding("cellpose" if field.cellpose else "centre")
    voxels = torch.from_numpy(np.ascontiguousarray(mask)).to(device).ravel().nonzero()[:, 0]
    ends = torch.full((core.size,), BACKGROUND, dtype=torch.int32, device=device)
    lost: list[Particles] = []
    for first in range(0, len(voxels), BATCH):
        some = voxels[first : first + BATCH]
        zyx = torch.stack(torch.unravel_index(some, tuple(core.shape))) + lead[:, None].to(device)
        none = torch.zeros(len(some), dtype=torch.int32, device=device)
        at, steps, escaped = mover(field, (zyx << 12).int(), none, niter)
        z, y, x = ((a.long() + half) >> 12 for a in at)
        place = ((z * field.shape[1] + y) * field.shape[2] + x).int()
        for a, n in zip((z, y, x), field.shape, strict=True):
            escaped = escaped | (a < 0) | (a >= n)
        ends[some] = torch.where(escaped, ESCAPED, place)
        moved = at[:, escaped] - (zyx[:, escaped] << 12)
        start, way, done = (p.cpu().numpy() for p in (zyx[:, escaped].T, moved.T.int(), steps[escaped]))
        lost.append(Particles(start + np.array(window.start), way, done))
    return ends.cpu().numpy().reshape(core.shape), Particles.join(lost)


def _packed(flow: Array, device: torch.device) -> torch.Tensor:
    """The components of every voxel in one int64, packed on the device a few planes at a time."""
    packed = torch.empty(flow[0].size, dtype=torch.int64, device=device)
    size = flow[0, 0].size
    planes = max(1, VOXELS_PER_PACK // size)
    for i in range(0, flow.shape[1], planes):
        slab = [torch.from_numpy(np.ascontiguousarray(c[i : i + planes])).to(device).ravel().long() for c in flow]
        packed[i * size : i * size + len(slab[0])] = (slab[2] << 32) | ((slab[1] & 0xFFFF) << 16) | (slab[0] & 0xFFFF)
    return packed


@dataclass(frozen=True)
class _Moving:
    """Particles under way: position, position before and steps as in `Move`, steps when they began, who is who."""

    at: torch.Tensor
    before: torch.Tensor
    steps: torch.Tensor
    begun: torch.Tensor
    alive: torch.Tensor
    escaped: torch.Tensor
    who: torch.Tensor

    def take(self, which: torch.Tensor) -> _Moving:
        flat = (self.steps, self.begun, self.alive, self.escaped, self.who)
        return _Moving(self.at[:, which], self.before[:, which], *(part[which] for part in flat))


def move(
    field: DeviceFlow, at: torch.Tensor, steps: torch.Tensor, niter: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The `Move` of plain torch operations: all particles take a step together, the done ones leave every few."""
    escaped = torch.zeros(len(steps), dtype=torch.bool, device=at.device)
    who = torch.arange(len(steps), device=at.device)
    now = _Moving(at.clone(), at.clone(), steps.clone(), steps.clone(), steps < niter, escaped.clone(), who)
    while len(now.who):
        for _ in range(COMPACT):
            now = _step(field, now, niter)
        done = now.take(~now.alive)
        at[:, done.who], steps[done.who], escaped[done.who] = done.at, done.steps, done.escaped
        now = now.take(now.alive)
    return at, steps, escaped


def _step(field: DeviceFlow, now: _Moving, niter: int) -> _Moving:
    """One step of `path_centre` or `path_cellpose` for every particle that is still alive."""
    sampled = [_shifted(field, axis, now.at[axis]) for axis in range(3)]
    voxel, weight = [s >> 12 for s in sampled], [(s & 4095).long() for s in sampled]
    above = [(w > 0).int() for w in weight]
    inside = torch.ones_like(now.alive)
    for i, up, low, high, n in zip(voxel, above, field.low, field.high, field.shape, strict=True):
        inside &= (i.clamp(min=low) >= 0) & ((i + up).clamp(max=high) < n)
    go = now.alive & inside
    way = _sample(field, voxel, above, weight)
    moved = [
        (p + ((d + 8) >> 4).int()).clamp(low * 4096, high * 4096)
        for p, d, low, high in zip(now.at, way, field.low, field.high, strict=True)
    ]
    new = torch.stack([now.at[0] if field.flat else moved[0], *moved[1:]])
    steps = now.steps + go
    still = (new == now.at).all(0)
    back = (steps > now.begun + 1) & (new == now.before).all(0) & ~still
    on = go & ~still & ~back
    return replace(
        now,
        at=torch.where(on | (go & back & ((niter - steps) % 2 == 0)), new, now.at),
        before=torch.where(on, now.at, now.before),
        steps=steps,
        alive=on & (steps < niter),
        escaped=now.escaped | (now.alive & ~inside),
    )


def _shifted(field: DeviceFlow, axis: int, at: torch.Tensor) -> torch.Tensor:
    """Where the flow is sampled for particles `at`, along one axis."""
    low, length = field.low[axis], field.high[axis] - field.low[axis]
    if not field.cellpose or length == 0 or (field.flat and axis == 0):
        return at
    return at + torch.div(at - low * 4096 + length // 2, length, rounding_mode="floor") - 2048


def _sample(
    field: DeviceFlow, voxel: list[torch.Tensor], above: list[torch.Tensor], weight: list[torch.Tensor]
) -> list[torch.Tensor]:
    """Trilinear samples of the three components in Q16, zero for neighbours beyond the volume."""
    wz, wy, wx = weight
    planes = []
    for a in range(2):
        rows = []
        for b in range(2):
            left, right = (
                _corner(field, [voxel[0] + a * above[0], voxel[1] + b * above[1], voxel[2] + c * above[2]])
                for c in range(2)
            )
            rows.append([_lerp(p, q, wx, 6) for p, q in zip(left, right, strict=True)])
        planes.append([_lerp(p, q, wy, 12) for p, q in zip(*rows, strict=True)])
    return [_lerp(p, q, wz, 12) for p, q in zip(*planes, strict=True)]


def _corner(field: DeviceFlow, zyx: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The flow at voxels of the window, z, y and x; zero beyond the volume."""
    valid = torch.ones_like(zyx[0], dtype=torch.bool)
    place = torch.zeros_like(zyx[0], dtype=torch.int64)
    for i, low, high, n in zip(zyx, field.low, field.high, field.shape, strict=True):
        valid &= (i >= low) & (i <= high)
        place = place * n + i.clamp(0, n - 1)
    value = torch.where(valid, field.packed[place], 0)
    return (value << 48) >> 48, (value << 32) >> 48, value >> 32


def _lerp(a: torch.Tensor, b: torch.Tensor, w: torch.Tensor, shift: int) -> torch.Tensor:
    """a + (b - a) * w / 4096, rounded, with `shift` of the 12 bits taken off."""
    return ((a << 12) + (b - a) * w + (1 << (shift - 1))) >> shift
