"""Exact percentiles of a volume of any size, as a whole or plane by plane, from counts that add up in any order.

Each value gets an order-preserving key of 8, 16 or 32 bits. The wanted values are found digit by digit (a radix
selection): each pass over the image counts, region by region, the next digit of those keys that agree with what is
known of a wanted one. Counts of parts add up to those of the whole, so the result does not depend on the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit

from bigcell.core.errors import InputError
from bigcell.core.volume import Array

WANTED = 4
"""Order statistics that two percentiles need: numpy's linear percentile lies between two of them."""


def words(values: Array) -> tuple[Array, int]:
    """`values` as unsigned integers of 8, 16 or 32 bits, seen without a copy where possible, and their kind.

    Kind 0: unsigned, 1: signed, 2: floats; `key` makes the keys. Floats become 32 bits wide, integers of 64 bits must
    fit 32: raises InputError where they do not.
    """
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "f":
        return np.ascontiguousarray(values, np.float32).view(np.uint32), 2
    if size == 8:
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        limits = (-(1 << 31), (1 << 31) - 1) if kind == "i" else (0, (1 << 32) - 1)
        if low < limits[0] or high > limits[1]:
            raise InputError(f"found values from {low} to {high} in {values.dtype}; wanted ones that fit 32 bits")
        values = values.astype(f"{kind}4")
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}"), int(kind == "i")


def key_bits(dtype: np.dtype[Any]) -> int:
    """How many bits the keys of values of `dtype` have."""
    return 32 if dtype.kind == "f" else min(32, 8 * dtype.itemsize)


@njit(cache=True, inline="always")
def _key(word, kind, half):  # type: ignore[no-untyped-def]
    """The key of a word (int64): keys are in the order of the values. `half` is the word's top bit; -0 counts as 0."""
    if kind == 0:
        return word
    if kind == 1:
        return word ^ half
    if word >= half:
        return half if word == half else (~word) & 0xFFFFFFFF
    return word | half


def values_of(found: Array, dtype: np.dtype[Any]) -> Array:
    """The float64 values that the keys `found` stand for in an image of `dtype`.

    >>> values_of(np.array([1 << 7, 0]), np.dtype("i1"))
    array([   0., -128.])
    """
    bits = key_bits(dtype)
    if dtype.kind == "f":
        low = found >> 31 == 0
        raw = np.where(low, ~found & 0xFFFFFFFF, found & 0x7FFFFFFF).astype(np.uint32)
        return raw.view(np.float32).astype(np.float64)
    return (found - (1 << (bits - 1) if dtype.kind == "i" else 0)).astype(np.float64)


@dataclass(frozen=True)
class Search:
    """What is known of the wanted order statistics of every region, after some passes.

    `prefixes`, `ranks` (regions, WANTED) int64: the digits found so far, and the rank (from 0) of the wanted value
    among those that begin with them. `bits` of a key, of which `known` are found, `digit` at
    a time.
    """

    prefixes: Array
    ranks: Array
    bits: int
    digit: int
    known: int = 0

    @classmethod
    def start(
        cls, dtype: np.dtype[Any], totals: Sequence[int] | Array, percentiles: tuple[float, float], digit: int = 16
    ) -> Search:
        """Nothing known yet of regions of `totals` values each; what is found of one without values means nothing."""
        ranks = np.array([_ranks(int(total), percentiles) for total in totals], np.int64)
        bits = key_bits(dtype)
        return cls(np.zeros_like(ranks), ranks, bits, min(digit, bits))

    @property
    def done(self) -> bool:
        return self.known == self.bits

    @property
    def slots(self) -> Array:
        """The distinct prefixes of each region, ascending, (regions, k) int64: what a pass counts. -1 fills rows."""
        ordered = np.sort(self.prefixes, 1)
        ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = 1 << self.bits
        ordered.sort(1)
        ordered[ordered == 1 << self.bits] = -1
        return np.ascontiguousarray(ordered[:, (ordered >= 0).any(0)])

    def part(self, regions: slice) -> Search:
        """The search for some of the regions."""
        return Search(self.prefixes[regions], self.ranks[regions], self.bits, self.digit, self.known)

    def advance(self, table: Array) -> Search:
        """One digit more, from the counts (regions, k, 2^digit) of all parts added up."""
        place = (self.slots[:, None, :] == self.prefixes[:, :, None]).argmax(2)
        below = np.cumsum(np.take_along_axis(table, place[:, :, None], 1), 2)
        digits = np.minimum((below <= self.ranks[:, :, None]).sum(2), (1 << self.digit) - 1)
        before = np.take_along_axis(below, np.maximum(digits - 1, 0)[:, :, None], 2)[:, :, 0]
        ranks = self.ranks - np.where(digits > 0, before, 0)
        return Search((self.prefixes << self.digit) | digits, ranks, self.bits, self.digit, self.known + self.digit)


def _ranks(total: int, percentiles: tuple[float, float]) -> list[int]:
    """The ranks (from 0) of the values that two percentiles of `total` values lie between."""
    below = [position(total, p)[0] for p in percentiles] if total else [0, 0]
    return [max(0, min(i + k, total - 1)) for i in below for k in (0, 1)]


def count(values: Array, search: Search) -> Array:
    """Counts (regions, k, 2^digit) int64 of the next digit in `values` (regions, ...), one row of `search` a region."""
    seen, kind = words(values)
    slots = search.slots
    table = np.zeros((len(slots), slots.shape[1], 1 << search.digit), np.int64)
    shift = search.bits - search.known - search.digit
    _count(seen.reshape(len(slots), -1), kind, 1 << (search.bits - 1), slots, shift, search.digit, table)
    return table


def count_inside(values: Array, inside: Array, search: Search) -> Array:
    """As `count`, but only of the values (regions, ...) that are `inside` (bool, of the same shape)."""
    table = np.zeros((*search.slots.shape, 1 << search.digit), np.int64)
    for r in np.flatnonzero(inside.reshape(len(values), -1).any(1)):
        counts = count(values[r][inside[r]][None], search.part(slice(r, r + 1)))
        table[r, : counts.shape[1]] = counts[0]
    return table


@njit(cache=True, nogil=True)
def _count(seen, kind, half, slots, shift, digit, table):  # type: ignore[no-untyped-def]
    mask = (1 << digit) - 1
    for r in range(seen.shape[0]):
        if slots.shape[1] == 1 and slots[r, 0] == 0 and (half << 1) >> (shift + digit) == 1:  # the first digit
            for i in range(seen.shape[1]):
                table[r, 0, _key(np.int64(seen[r, i]), kind, half) >> shift] += 1
            continue
        for i in range(seen.shape[1]):
            key = _key(np.int64(seen[r, i]), kind, half) >> shift
            for s in range(slots.shape[1]):
                if slots[r, s] == key >> digit:
                    table[r, s, key & mask] += 1


def extremes(values: Array) -> Array:
    """The least and the greatest value of each region of `values` (regions, ...): (regions, 2) float64."""
    flat = values.reshape(len(values), -1)
    ends = np.stack([flat.min(1), flat.max(1)], 1)
    return ends.astype(np.float32 if ends.dtype.kind == "f" else ends.dtype).astype(np.float64)


def extremes_inside(values: Array, inside: Array) -> Array:
    """As `extremes`, but only of the values that are `inside`; infinity and minus infinity where there are none."""
    ends = np.tile([np.inf, -np.inf], (len(values), 1))
    for r in np.flatnonzero(inside.reshape(len(values), -1).any(1)):
        ends[r] = extremes(values[r][inside[r]][None])[0]
    return ends


def position(total: int, percentile: float) -> tuple[int, float]:
    """Where a percentile lies among `total` sorted values, as numpy's linear rule has it: rank from 0, and the rest.

    >>> position(201, 1.0), position(10, 50.0), position(10, 100.0)
    ((2, 0.0), (4, 0.5), (9, 0.0))
    """
    exact = Fraction(percentile) * (total - 1) / 100
    whole = exact.numerator // exact.denominator
    return whole, float(exact - whole)


@dataclass(frozen=True)
class Ranges:
    """Percentiles `low`, `high` and extremes `least`, `most` of each region, float64 (regions,)."""

    low: Array
    high: Array
    least: Array
    most: Array


def ranges_of(
    search: Search, ends: Array, dtype: np.dtype[Any], totals: Sequence[int] | Array, percentiles: tuple[float, float]
) -> Ranges:
    """The percentiles of a finished `search`, with the `extremes` (regions, 2) of the regions, of `totals` values."""
    found, (least, most) = values_of(search.prefixes, dtype), ends.T
    parts = [np.array([position(int(total), p)[1] for total in totals]) for p in percentiles]
    low, high = (found[:, k] + (found[:, k + 1] - found[:, k]) * part for k, part in zip((0, 2), parts, strict=True))
    return Ranges(low, high, least, most)


def measure(values: Array, percentiles: tuple[float, float]) -> Ranges:
    """Percentiles and extremes of each region of `values` (regions, ...), all of it in memory.

    >>> found = measure(np.arange(201).reshape(1, -1), (1.0, 99.0))
    >>> found.low.item(), found.high.item()
    (2.0, 198.0)
    """
    ordered = np.sort(values.reshape(len(values), -1), axis=1)
    ends = []
    for percentile in percentiles:
        rank, part = position(ordered.shape[1], percentile)
        below, above = ordered[:, [rank, min(rank + 1, ordered.shape[1] - 1)]].T.astype(np.float64)
        ends.append(below + (above - below) * part)
    return Ranges(ends[0], ends[1], ordered[:, 0].astype(np.float64), ordered[:, -1].astype(np.float64))
