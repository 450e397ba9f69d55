"""Coarser levels: labels by majority, so that no id is invented; images by mean. And by how much each level shrinks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

from bigcell.core.axes import Spacing
from bigcell.core.volume import Array

Factor = tuple[int, int, int]
SMALLEST = 256
"""A level no wider than this needs no coarser one: any viewer holds it at once."""


def reduce_labels(labels: Array, factor: Sequence[int]) -> Array:
    """The most frequent id of each box of `factor` voxels (z, y, x), clipped at the far edges.

    Of ids equally frequent the smallest wins, background last, so thin cells do not vanish for a tie.

    >>> reduce_labels(np.array([[[7, 7, 0, 0, 5], [3, 0, 0, 9, 5]]], np.uint32), (1, 2, 2)).tolist()
    [[[7, 0, 5]]]
    """
    out = np.empty(_reduced(labels.shape, factor), labels.dtype)
    _modes_into(np.ascontiguousarray(labels), *(int(f) for f in factor), out)
    return out


def reduce_image(image: Array, factor: Sequence[int]) -> Array:
    """The mean of each box of `factor` voxels over the last three axes (z, y, x), rounded for integer dtypes.

    >>> reduce_image(np.array([[[1, 2, 9], [2, 2, 9]]], np.uint8), (1, 2, 2)).tolist()
    [[[2, 9]]]
    """
    planes = np.ascontiguousarray(image).reshape(-1, *image.shape[-3:])
    means = np.empty((len(planes), *_reduced(image.shape[-3:], factor)), np.float64)
    for plane, mean in zip(planes, means, strict=True):
        _means_into(plane, *(int(f) for f in factor), mean)
    if image.dtype.kind != "f":
        # float64 rounds 2**64 - 1 up to 2**64, which no integer dtype holds.
        limits = np.iinfo(image.dtype)
        np.rint(means, out=means).clip(limits.min, np.nextafter(float(limits.max) + 1, 0), out=means)
    return means.reshape(*image.shape[:-3], *means.shape[-3:]).astype(image.dtype)


def level_factors(extent: Sequence[int], spacing: Spacing) -> tuple[Factor, ...]:
    """How much each level shrinks from the one before, first level (1, 1, 1), until y and x are at most 256.

    z shrinks only where that brings voxels nearer to cubes, so a coarse stack keeps its planes. Sizes that are in no
    common unit count as equal.

    >>> level_factors((64, 1024, 1024), Spacing(2.0, 0.5, 0.5))
    ((1, 1, 1), (1, 2, 2), (1, 2, 2))
    """
    factors: list[Factor] = [(1, 1, 1)]
    z, y, x = extent
    side = max(spacing.y, spacing.x) if spacing.compares("y") else spacing.x
    depth = spacing.z if spacing.compares("z") else side
    while max(y, x) > SMALLEST:
        side *= 2
        fz = 2 if z > 1 and depth * 2 <= side * 1.5 else 1
        fy, fx = 2 if y > 1 else 1, 2 if x > 1 else 1
        factors.append((fz, fy, fx))
        depth *= fz
        z, y, x = _reduced((z, y, x), (fz, fy, fx))
    return tuple(factors)


def _reduced(extent: Sequence[int], factor: Sequence[int]) -> tuple[int, ...]:
    return tuple(-(-int(n) // int(f)) for n, f in zip(extent, factor, strict=True))


@numba.njit(cache=True, nogil=True)
def _means_into(image: Any, fz: int, fy: int, fx: int, out: Any) -> None:
    # Summed in float64 voxel by voxel: whole arrays of float64 would take four times the memory of the image.
    nz, ny, nx = image.shape
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                total = 0.0
                count = 0
                for k in range(z * fz, min(z * fz + fz, nz)):
                    for j in range(y * fy, min(y * fy + fy, ny)):
                        for i in range(x * fx, min(x * fx + fx, nx)):
                            total += image[k, j, i]
                            count += 1
                out[z, y, x] = total / count


@numba.njit(cache=True, nogil=True)
def _modes_into(labels: Any, fz: int, fy: int, fx: int, out: Any) -> None:
    # Boxes are small (8 voxels as a rule), so counting by hand in two short lists beats any table.
    ids = np.empty(fz * fy * fx, labels.dtype)
    counts = np.empty(fz * fy * fx, np.int64)
    nz, ny, nx = labels.shape
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                n = 0
                for k in range(z * fz, min(z * fz + fz, nz)):
                    for j in range(y * fy, min(y * fy + fy, ny)):
                        for i in range(x * fx, min(x * fx + fx, nx)):
                            value = labels[k, j, i]
                            m = n - 1  # neighbours are mostly equal: the last id met is tried first
                            while m >= 0 and ids[m] != value:
                                m -= 1
                            if m < 0:
                                ids[n] = value
                                counts[n] = 0
                                m = n
                                n += 1
                            counts[m] += 1
                best = 0
                for m in range(1, n):
                    if counts[m] > counts[best] or (
                        counts[m] == counts[best] and ids[m] != 0 and (ids[best] == 0 or ids[m] < ids[best])
                    ):
                        best = m
                out[z, y, x] = ids[best]
