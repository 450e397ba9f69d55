"""Blending overlapping tiles as integers: sums that do not depend on who adds what, or when.

A tile's output is weighted by its normalised taper (known from the lattice alone), rounded to an integer and added.
Integer sums are associative, so the blend is the same for any grouping of tiles into tasks and any order of them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bigcell.core.volume import Array
from bigcell.tiling.lattice import AxisTiles

FLOW_BITS = 10
"""Flows are stored as int16 with this many fractional bits, in voxels per step."""
LOGIT_BITS = 8
"""Cell-probability logits are stored as int16 with this many fractional bits."""
FLOW_LIMIT = 4.0
"""Voxels per step beyond which a flow is clipped (unit flows are 1; sums of two views 2)."""
LOGIT_LIMIT = 30.0

_SLOPE = 7.5
_EDGE = 20.0


def taper(size: int, full: int = 0) -> Array:
    """Weights of one tile along one axis, (size,) float64: a sigmoid that falls towards both ends.

    The shape is that of Stringer et al. 2021 (Cellpose); the edge is narrowed for tiles under 80 voxels. With `full`
    the weights are instead the middle of a taper of that length, as Cellpose has them for tiles under 224 voxels.
    """
    distance = np.abs(np.arange(size) - (size - 1) / 2)
    edge = _EDGE if full else min(_EDGE, size / 4)
    falling = (distance - (max(size, full) / 2 - edge)) / (_SLOPE * edge / _EDGE)
    weights: Array = 1.0 / (1.0 + np.exp(falling))
    return weights


@lru_cache(maxsize=64)
def axis_weights(axis: AxisTiles) -> Array:
    """Normalised weights (tiles, size) float64: over all tiles they sum to 1 at every voxel of the axis."""
    one = taper(axis.size, axis.full)
    origin = min(axis.starts)
    total = np.zeros(max(axis.starts) + axis.size - origin)
    for start in axis.starts:
        total[start - origin : start - origin + axis.size] += one
    return np.stack([one / total[start - origin : start - origin + axis.size] for start in axis.starts])


def quantise(values: Array, bits: int, limit: float) -> Array:
    """Float `values`, clipped to +-`limit`, as int16 with `bits` fractional bits, rounded half to even."""
    scaled: Array = np.clip(values, -limit, limit)
    scaled *= float(1 << bits)
    np.rint(scaled, out=scaled)
    return scaled.astype(np.int16)
