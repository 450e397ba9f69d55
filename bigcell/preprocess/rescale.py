"""Two grids over one volume: the image's voxels and the network's. Where a voxel of one lies in the other.

All coordinates follow from the whole extents alone, so a resampled box equals the same box of the resampled volume.
Images are averaged when they shrink; stored integer flows are interpolated in integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numba import njit

from bigcell.core.box import Box
from bigcell.core.volume import Array

_BITS = 12


@dataclass(frozen=True)
class GridPair:
    """The volume's `extent` and the network's grid `network`, both (z, y, x), over the same space.

    `plain`: resampled as Cellpose does it. Images are interpolated, not averaged, where they shrink, and flows keep
    their numbers where voxels are long. `planar`: planes are seen one by one, so the length of a voxel along z says
    nothing of the flow in them.
    """

    extent: tuple[int, int, int]
    network: tuple[int, int, int]
    plain: bool = False
    planar: bool = False

    @classmethod
    def scaled(
        cls,
        extent: tuple[int, int, int],
        factors: tuple[float, float, float],
        *,
        plain: bool = False,
        planar: bool = False,
    ) -> GridPair:
        """A network grid with `factors` times as many voxels along each axis (a single plane stays one).

        Numbers of voxels are rounded; if `plain`, cut off.

        >>> GridPair.scaled((10, 100, 100), (3.0, 0.5, 0.678)).network
        (30, 50, 68)
        """
        whole = int if plain else round
        z, y, x = (1 if n == 1 else max(1, whole(n * f)) for n, f in zip(extent, factors, strict=True))
        return cls(extent, (z, y, x), plain, planar)

    @property
    def is_identity(self) -> bool:
        return self.extent == self.network

    @property
    def steps(self) -> tuple[float, float, float]:
        """Image voxels per unit of flow along z, y, x: directions are kept, and the longest axis steps one voxel."""
        if self.plain:
            return (1.0, 1.0, 1.0)
        z, y, x = (a / b for a, b in zip(self.extent, self.network, strict=True))
        moves = [n > 1 and not (axis == 0 and self.planar) for axis, n in enumerate(self.extent)]
        top = max((v for v, m in zip((z, y, x), moves, strict=True) if m), default=1.0)
        return (z / top, y / top, x / top)

    def source_box(self, box: Box) -> Box:
        """The image voxels that decide the network voxels of `box`."""
        low, high = [], []
        for a, b, n, m in zip(box.start, box.stop, self.extent, self.network, strict=True):
            ratio = n / m
            reach = max(1.0, ratio)
            low.append(max(0, int(np.floor((a + 0.5) * ratio - 0.5 - reach))))
            high.append(min(n, int(np.ceil((b - 0.5) * ratio - 0.5 + reach)) + 1))
        return Box(tuple(low), tuple(high))

    def network_box(self, box: Box) -> Box:
        """The network voxels that decide the flows at the image voxels of `box`."""
        low, high = [], []
        for a, b, n, m in zip(box.start, box.stop, self.extent, self.network, strict=True):
            first, _ = _source(np.array([a]), n, m)
            last, weight = _source(np.array([b - 1]), n, m)
            low.append(int(first[0]))
            high.append(min(m, int(last[0]) + 1 + int(weight[0] > 0)))
        return Box(tuple(low), tuple(high))


def to_network(image: Array, source: Box, box: Box, grids: GridPair) -> Array:
    """`image` (c, *source) float32, resampled to the network voxels of `box`: a triangle filter, widened to shrink
    (unless the grids are plain).

    `source` must hold ``grids.source_box(box)``.
    """
    out = image
    for axis in range(3):
        n, m = grids.extent[axis], grids.network[axis]
        if n == m:
            lead = box.start[axis] - source.start[axis]
            out = out[(slice(None),) * (axis + 1) + (slice(lead, lead + box.shape[axis]),)]
            continue
        first, weights = _triangle(np.arange(box.start[axis], box.stop[axis]), n, m, wide=not grids.plain)
        out = _along(np.ascontiguousarray(out), axis, first - source.start[axis], weights)
    return np.ascontiguousarray(out)


def _along(image: Array, axis: int, first: Array, weights: Array) -> Array:
    """`image` (c, z, y, x) resampled along a spatial axis: sums of neighbours, weighted, in ascending order."""
    shape = (*image.shape[: axis + 1], len(first), *image.shape[axis + 2 :])
    mix = _mix_columns if axis == 2 else _mix_rows
    lines = image.reshape(prod(shape[: axis + 1]), image.shape[axis + 1], -1)
    mixed: Array = mix(lines, first, weights)
    return mixed.reshape(shape)


def flows_to_image(flows: Array, source: Box, box: Box, grids: GridPair) -> Array:
    """Integer `flows` (4, *source) of the network's grid at the image voxels of `box`, int16, scaled to image steps.

    Trilinear in integers, an axis at a time with a rounding each; the logit is interpolated but not scaled.
    `source` must hold ``grids.network_box(box)``.
    """
    out = np.ascontiguousarray(flows)
    for axis in range(3):
        n, m = grids.extent[axis], grids.network[axis]
        if n == m:
            lead = box.start[axis] - source.start[axis]
            out = out[(slice(None),) * (axis + 1) + (slice(lead, lead + box.shape[axis]),)]
            continue
        first, weight = _source(np.arange(box.start[axis], box.stop[axis]), n, m)
        shape = (*out.shape[: axis + 1], len(first), *out.shape[axis + 2 :])
        lines = np.ascontiguousarray(out).reshape(prod(shape[: axis + 1]), out.shape[axis + 1], -1)
        mix = _blend_columns if axis == 2 else _blend_rows
        out = mix(lines, first - source.start[axis], weight).reshape(shape)
    steps = [round(step * (1 << _BITS)) for step in grids.steps]
    scaled: Array = _scaled(np.ascontiguousarray(out), np.array([*steps, 1 << _BITS]))
    return scaled


def _source(target: Array, n: int, m: int) -> tuple[Array, Array]:
    """Network voxel at or below each image voxel, and the weight of the next one in 1/4096: exact rationals.

    Image voxel X has its centre at network coordinate (X + 1/2) m / n - 1/2 = ((2 X + 1) m - n) / (2 n).
    """
    top = (2 * target.astype(np.int64) + 1) * m - n
    whole, rest = np.divmod(top, 2 * n)  # apart, so that axes of many millions of voxels do not overflow
    scaled = np.clip((whole << _BITS) + (rest << _BITS) // (2 * n), 0, (m - 1) << _BITS)
    return scaled >> _BITS, (scaled & ((1 << _BITS) - 1)).astype(np.int32)


def _triangle(target: Array, n: int, m: int, *, wide: bool) -> tuple[Array, Array]:
    """First image voxel (may be negative) and weights (len(target), k) float32 of each network voxel.

    `wide`: the triangle is as wide as the larger voxel, so that all image voxels count.
    """
    ratio = n / m
    reach = max(1.0, ratio) if wide else 1.0
    centre = (target + 0.5) * ratio - 0.5
    first = np.floor(centre - reach).astype(np.int64) + 1
    taps = first[:, None] + np.arange(int(np.ceil(2 * reach)))
    weights = np.maximum(0.0, 1.0 - np.abs(taps - centre[:, None]) / reach)
    weights[(taps < 0) | (taps >= n)] = 0.0
    return first, (weights / weights.sum(1, keepdims=True)).astype(np.float32)


@njit(cache=True, nogil=True)
def _mix_rows(lines, first, weights):  # type: ignore[no-untyped-def]
    out = np.zeros((lines.shape[0], len(first), lines.shape[2]), np.float32)
    for i in range(lines.shape[0]):
        for t in range(len(first)):
            for k in range(weights.shape[1]):
                w, s = weights[t, k], first[t] + k
                if w != 0.0:
                    for r in range(lines.shape[2]):
                        out[i, t, r] += w * lines[i, s, r]
    return out


@njit(cache=True, nogil=True)
def _mix_columns(lines, first, weights):  # type: ignore[no-untyped-def]
    out = np.zeros((lines.shape[0], len(first), 1), np.float32)
    for i in range(lines.shape[0]):
        for t in range(len(first)):
            total = np.float32(0)
            for k in range(weights.shape[1]):
                w = weights[t, k]
                if w != 0.0:
                    total += w * lines[i, first[t] + k, 0]
            out[i, t, 0] = total
    return out


@njit(cache=True, nogil=True)
def _blend_rows(lines, first, weight):  # type: ignore[no-untyped-def]
    out = np.empty((lines.shape[0], len(first), lines.shape[2]), np.int16)
    for i in range(lines.shape[0]):
        for t in range(len(first)):
            s, w = first[t], np.int32(weight[t])
            above, rest = min(s + 1, lines.shape[1] - 1), np.int32((1 << _BITS) - w)
            for r in range(lines.shape[2]):
                total = np.int32(lines[i, s, r]) * rest + np.int32(lines[i, above, r]) * w
                out[i, t, r] = (total + np.int32(1 << (_BITS - 1))) >> np.int32(_BITS)
    return out


@njit(cache=True, nogil=True)
def _blend_columns(lines, first, weight):  # type: ignore[no-untyped-def]
    out = np.empty((lines.shape[0], len(first), 1), np.int16)
    for i in range(lines.shape[0]):
        for t in range(len(first)):
            s, w = first[t], np.int32(weight[t])
            above, rest = min(s + 1, lines.shape[1] - 1), np.int32((1 << _BITS) - w)
            total = np.int32(lines[i, s, 0]) * rest + np.int32(lines[i, above, 0]) * w
            out[i, t, 0] = (total + np.int32(1 << (_BITS - 1))) >> np.int32(_BITS)
    return out


@njit(cache=True, nogil=True)
def _scaled(flows, scales):  # type: ignore[no-untyped-def]
    """Each component of `flows` (4, z, y, x) times its scale in 1/4096, rounded."""
    out = np.empty(flows.shape, np.int16)
    for c in range(4):
        scale = np.int32(scales[c])
        for z in range(flows.shape[1]):
            for y in range(flows.shape[2]):
                for x in range(flows.shape[3]):
                    value = np.int32(flows[c, z, y, x]) * scale
                    out[c, z, y, x] = (value + np.int32(1 << (_BITS - 1))) >> np.int32(_BITS)
    return out
