"""Two grids over one volume: the image's voxels and the network's. Where a voxel of one lies in the other.

All coordinates follow from the whole extents alone, so a resampled box equals the same box of the resampled volume.
Images are averaged when they shrink; stored integer flows are interpolated in integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from bigcell.core.box import Box
from bigcell.core.volume import Array

_BITS = 12


@dataclass(frozen=True)
class GridPair:
    """The volume's `extent` and the network's grid `network`, both (z, y, x), over the same space."""

    extent: tuple[int, int, int]
    network: tuple[int, int, int]

    @classmethod
    def scaled(cls, extent: tuple[int, int, int], factors: tuple[float, float, float]) -> GridPair:
        """A network grid with `factors` times as many voxels along each axis (a single plane stays one).

        >>> GridPair.scaled((10, 100, 100), (3.0, 0.5, 0.5)).network
        (30, 50, 50)
        """
        z, y, x = (1 if n == 1 else max(1, round(n * f)) for n, f in zip(extent, factors, strict=True))
        return cls(extent, (z, y, x))

    @property
    def is_identity(self) -> bool:
        return self.extent == self.network

    @property
    def steps(self) -> tuple[float, float, float]:
        """Image voxels per unit of flow along z, y, x: directions are kept, and the longest axis steps one voxel."""
        z, y, x = (a / b for a, b in zip(self.extent, self.network, strict=True))
        top = max(v for v, n in zip((z, y, x), self.extent, strict=True) if n > 1) if max(self.extent) > 1 else 1.0
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
    """`image` (c, *source) float32, resampled to the network voxels of `box`: a triangle filter, widened to shrink.

    `source` must hold ``grids.source_box(box)``.
    """
    out = image
    for axis in range(3):
        n, m = grids.extent[axis], grids.network[axis]
        if n == m:
            lead = box.start[axis] - source.start[axis]
            out = np.take(out, np.arange(lead, lead + box.shape[axis]), axis + 1)
            continue
        first, weights = _triangle(np.arange(box.start[axis], box.stop[axis]), n, m)
        lines = np.ascontiguousarray(np.moveaxis(out, axis + 1, 0)).reshape(out.shape[axis + 1], -1)
        mixed = _mix(lines, first - source.start[axis], weights)
        rest = tuple(s for i, s in enumerate(out.shape) if i != axis + 1)
        out = np.moveaxis(mixed.reshape(-1, *rest), 0, axis + 1)
    return np.ascontiguousarray(out)


def flows_to_image(flows: Array, source: Box, box: Box, grids: GridPair) -> Array:
    """Integer `flows` (4, *source) of the network's grid at the image voxels of `box`, int16, scaled to image steps.

    Trilinear in integers, an axis at a time with a rounding each; the logit is interpolated but not scaled.
    `source` must hold ``grids.network_box(box)``.
    """
    out = flows.astype(np.int32)
    for axis in range(3):
        first, weight = _source(np.arange(box.start[axis], box.stop[axis]), grids.extent[axis], grids.network[axis])
        first = first - source.start[axis]
        upper = np.minimum(first + 1, out.shape[axis + 1] - 1)
        w = weight.reshape(tuple(-1 if i == axis + 1 else 1 for i in range(4)))
        low, high = np.take(out, first, axis + 1), np.take(out, upper, axis + 1)
        out = (low * ((1 << _BITS) - w) + high * w + (1 << (_BITS - 1))) >> _BITS
    for component, step in zip(out[:3], grids.steps, strict=True):
        scale = round(step * (1 << _BITS))
        component[:] = (component * scale + (1 << (_BITS - 1))) >> _BITS
    return out.astype(np.int16)


def _source(target: Array, n: int, m: int) -> tuple[Array, Array]:
    """Network voxel at or below each image voxel, and the weight of the next one in 1/4096: exact rationals.

    Image voxel X has its centre at network coordinate (X + 1/2) m / n - 1/2 = ((2 X + 1) m - n) / (2 n).
    """
    top = (2 * target.astype(np.int64) + 1) * m - n
    scaled = np.clip((top << _BITS) // (2 * n), 0, (m - 1) << _BITS)
    return scaled >> _BITS, (scaled & ((1 << _BITS) - 1)).astype(np.int32)


def _triangle(target: Array, n: int, m: int) -> tuple[Array, Array]:
    """First image voxel (may be negative) and weights (len(target), k) float32 of each network voxel."""
    ratio = n / m
    reach = max(1.0, ratio)
    centre = (target + 0.5) * ratio - 0.5
    first = np.floor(centre - reach).astype(np.int64) + 1
    taps = first[:, None] + np.arange(int(np.ceil(2 * reach)))
    weights = np.maximum(0.0, 1.0 - np.abs(taps - centre[:, None]) / reach)
    weights[(taps < 0) | (taps >= n)] = 0.0
    return first, (weights / weights.sum(1, keepdims=True)).astype(np.float32)


@njit(cache=True)
def _mix(lines, first, weights):  # type: ignore[no-untyped-def]
    out = np.zeros((len(first), lines.shape[1]), np.float32)
    for t in range(len(first)):
        for k in range(weights.shape[1]):
            w = weights[t, k]
            s = first[t] + k
            if w != 0.0:
                for r in range(lines.shape[1]):
                    out[t, r] += w * lines[s, r]
    return out
