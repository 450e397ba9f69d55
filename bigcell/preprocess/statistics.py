"""Exact percentiles of a volume of any size, from histograms that add up in any order.

Each value gets an order-preserving 32-bit key. The upper 16 bits are counted in a first pass over the volume; types of
16 bits or fewer are done then. For wider types a second pass counts the lower 16 bits inside the few upper bins that
hold the wanted percentiles, which makes the result exact (a radix selection, two digits).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from bigcell.core.errors import InputError
from bigcell.core.volume import Array

BINS = 1 << 16


def keys(values: Array) -> Array:
    """Order-preserving uint32 keys of `values`; types of up to 16 bits use the upper half only.

    Floats of 64 bits are taken as 32. Integers of 64 bits must fit 32. Raises InputError for NaN and infinity.
    """
    kind = values.dtype.kind
    if kind == "f":
        bits = values.astype(np.float32)
        if not np.isfinite(bits).all():
            bad = tuple(int(i) for i in np.argwhere(~np.isfinite(bits))[0])
            raise InputError(
                f"found {bits[bad]} at voxel {bad} (channel, z, y, x); wanted finite numbers: mend the image"
            )
        raw = (bits + np.float32(0)).view(np.uint32)  # + 0 turns -0 into 0
        return np.where(raw >> 31, ~raw, raw | np.uint32(1 << 31))
    if values.dtype.itemsize <= 2:
        offset = 1 << 15 if kind == "i" else 0
        return (values.astype(np.int32) + offset).astype(np.uint32) << np.uint32(16)
    offset = 1 << 31 if kind == "i" else 0
    if values.dtype.itemsize == 8:
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        if low < -offset or high > (1 << 32) - 1 - offset:
            raise InputError(f"found values from {low} to {high} in {values.dtype}; wanted ones that fit 32 bits")
    return (values.astype(np.int64) + offset).astype(np.uint32)


def value_of(key: int, dtype: np.dtype[np.generic]) -> float:
    """The value that `key` stands for in a volume of `dtype`.

    >>> value_of(int(keys(np.array([-2.5]))[0]), np.dtype("f4"))
    -2.5
    """
    if dtype.kind == "f":
        raw = key & 0x7FFFFFFF if key >> 31 else ~key & 0xFFFFFFFF
        return float(np.array([raw], np.uint32).view(np.float32)[0])
    if dtype.itemsize <= 2:
        return float((key >> 16) - (1 << 15 if dtype.kind == "i" else 0))
    return float(key - (1 << 31 if dtype.kind == "i" else 0))


def is_wide(dtype: np.dtype[np.generic]) -> bool:
    """Whether percentiles of `dtype` need the second pass."""
    return dtype.itemsize > 2


def count_upper(values: Array) -> Array:
    """Histogram (BINS,) int64 of the upper 16 bits of the keys of `values`."""
    return np.bincount((keys(values) >> np.uint32(16)).ravel(), minlength=BINS).astype(np.int64)


def count_lower(values: Array, upper: Iterable[int]) -> dict[int, Array]:
    """For each of the `upper` bins, the histogram (BINS,) of the lower 16 bits of the keys that fall into it."""
    every = keys(values).ravel()
    top = every >> np.uint32(16)
    return {u: np.bincount(every[top == u] & np.uint32(0xFFFF), minlength=BINS).astype(np.int64) for u in upper}


def rank(total: int, percentile: float) -> int:
    """The rank (from 1) of a percentile among `total` values: the smallest value with at least that share at or below.

    >>> rank(200, 1.0), rank(200, 0.0), rank(200, 100.0)
    (2, 1, 200)
    """
    return min(total, max(1, int(np.ceil(percentile / 100 * total))))


def bin_of(histogram: Array, wanted: int) -> tuple[int, int]:
    """The bin that holds the value of rank `wanted`, and that value's rank within the bin."""
    below = np.cumsum(histogram)
    found = int(np.searchsorted(below, wanted))
    return found, wanted - int(below[found - 1] if found else 0)


@dataclass(frozen=True)
class ChannelRange:
    """What is black and what is white in one channel of the whole volume, and its extremes."""

    low: float
    high: float
    minimum: float
    maximum: float


def read_range(
    upper: Array, lower: Mapping[int, Array], dtype: np.dtype[np.generic], percentiles: tuple[float, float]
) -> ChannelRange:
    """Percentiles and extremes of one channel from its histograms (`lower` is empty for narrow types)."""
    total = int(upper.sum())
    wanted = (rank(total, percentiles[0]), rank(total, percentiles[1]), 1, total)
    values = []
    for r in wanted:
        top, within = bin_of(upper, r)
        bottom = bin_of(lower[top], within)[0] if is_wide(dtype) else 0
        values.append(value_of((top << 16) | bottom, dtype))
    return ChannelRange(*values)


def wanted_bins(upper: Array, percentiles: tuple[float, float]) -> tuple[int, ...]:
    """The upper bins whose lower halves the second pass must count."""
    total = int(upper.sum())
    ranks = (rank(total, percentiles[0]), rank(total, percentiles[1]), 1, total)
    return tuple(sorted({bin_of(upper, r)[0] for r in ranks}))
