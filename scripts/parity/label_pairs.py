"""Pairs of labellings for the metric fixtures, from seeds: numpy alone, so that every environment makes the same."""

from __future__ import annotations

import numpy as np

THRESHOLDS = (0.1, 0.25, 0.5, 0.6, 0.75, 0.9)

Pair = tuple[np.ndarray, np.ndarray]


def cells(seed: int, extent: tuple[int, ...], count: int) -> np.ndarray:
    """Voxels by the nearest of `count` points, those far from all are background; ids 1..n without gaps."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, extent, (count, len(extent)))
    grid = np.stack(np.meshgrid(*map(np.arange, extent), indexing="ij"), -1)
    square = ((grid[..., None, :] - points) ** 2).sum(-1)
    near = square.argmin(-1) + 1
    limit = (np.prod(extent) / count) ** (2 / len(extent)) / 3
    return numbered(np.where(square.min(-1) < limit, near, 0))


def disturbed(truth: np.ndarray, seed: int) -> np.ndarray:
    """Moved by a voxel or two; a tenth of the cells fused with another, a tenth cut, a tenth lost, some invented."""
    rng = np.random.default_rng(seed)
    found = np.roll(truth, rng.integers(-2, 3, truth.ndim), range(truth.ndim))
    ids = rng.permutation(np.arange(1, truth.max() + 1))
    tenth = max(1, len(ids) // 10)
    for a, b in zip(ids[:tenth], np.roll(ids, 1)[:tenth], strict=True):
        found[found == a] = b
    half = np.arange(truth.shape[-1]) % 8 < 4
    for a in ids[tenth : 2 * tenth]:
        found[(found == a) & half] = truth.max() + a
    found[np.isin(found, ids[2 * tenth : 3 * tenth])] = 0
    spots = (cells(seed + 1, truth.shape, 3 * tenth) > 0) & (truth == 0) & (rng.random(truth.shape) < 0.9)
    found[spots] = 3 * truth.max() + 1
    return numbered(found)


def numbered(labels: np.ndarray) -> np.ndarray:
    """Ids 1..n without gaps, 0 kept: Cellpose 3 counts cells by the largest id."""
    ids, place = np.unique(labels, return_inverse=True)
    return (place.reshape(labels.shape) + (ids[0] != 0)).astype(np.int32)


def label_pairs() -> dict[str, Pair]:
    """Name -> (truth, found): planes and volumes, close and far apart, the truth with itself, none found."""
    flat, deep = cells(1, (96, 120), 60), cells(2, (16, 40, 48), 50)
    return {
        "flat": (flat, disturbed(flat, 3)),
        "flat_other": (flat, cells(4, flat.shape, 70)),
        "deep": (deep, disturbed(deep, 5)),
        "deep_other": (deep, cells(6, deep.shape, 30)),
        "same": (flat, flat.copy()),
        "none_found": (flat, np.zeros_like(flat)),
    }
