"""The label images that the parity fixtures start from. Numpy only: it also runs in the peers' environments."""

from __future__ import annotations

import numpy as np


def random_bits(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """float64 from 0 to below 1, from raw bits: the same under every version of numpy."""
    bits = np.random.Philox(key=seed).random_raw(int(np.prod(shape)))
    return ((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


def packed(shape: tuple[int, ...], diameter: tuple[float, ...], seed: int, fill: float = 0.56) -> np.ndarray:
    """Touching cells of `diameter` per axis, uint16 1..n: every voxel goes to the nearest centre of a jittered grid,
    if near enough."""
    counts = [max(1, round(n / d)) for n, d in zip(shape, diameter, strict=True)]
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in counts], indexing="ij"), -1).reshape(-1, len(shape))
    pitch = np.array(shape) / np.array(counts)
    centres = (grid + 0.5 + 0.4 * (random_bits(grid.shape, seed) - 0.5)) * pitch
    places = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    best, labels = np.full(shape, np.inf), np.zeros(shape, np.uint16)
    for i, centre in enumerate(centres, start=1):
        distance = (((places - centre) / pitch) ** 2).sum(-1)
        nearer = distance < best
        best[nearer], labels[nearer] = distance[nearer], i
    labels[best > fill**2] = 0
    return labels


def awkward_plane() -> np.ndarray:
    """A line one pixel wide, cells at the border and in a corner, a ring, long cells side by side, specks, a pair of
    touching halves."""
    labels = np.zeros((88, 104), np.uint16)
    y, x = np.mgrid[:88, :104]
    labels[6, 4:34] = 1
    labels[10:40, 40] = 2
    labels[:9, 60:76] = 3
    labels[78:, 92:] = 4
    ring = (y - 60) ** 2 + (x - 20) ** 2
    labels[(ring < 144) & (ring > 25)] = 5
    labels[20:25, 50:100] = 6
    labels[25:30, 50:100] = 7
    labels[50, 50:53] = 8
    labels[54:57, 60:64] = 9
    disc = (y - 60) ** 2 + (x - 80) ** 2 < 121
    labels[disc & (x < 80)] = 10
    labels[disc & (x >= 80)] = 11
    bent = np.abs((y - 76) - 0.01 * (x - 50) ** 2) < 3
    labels[bent & (x > 28) & (x < 66) & (labels == 0)] = 12
    labels[30:48, 0:3] = 13
    return labels


def awkward_volume() -> np.ndarray:
    """A column one voxel thick, a plate, cells at faces and in a corner, a shell, long touching cells, a speck."""
    labels = np.zeros((28, 40, 44), np.uint16)
    z, y, x = np.mgrid[:28, :40, :44]
    labels[2:26, 4, 4] = 1
    labels[14, 24:38, 2:16] = 2
    labels[:6, 10:20, 20:30] = 3
    labels[20:, 32:, 36:] = 4
    shell = (z - 16) ** 2 + (y - 12) ** 2 + (x - 34) ** 2
    labels[(shell < 64) & (shell > 9)] = 5
    labels[18:23, 26:31, 18:35] = 6
    labels[18:23, 21:26, 10:26] = 7
    labels[2:4, 2:4, 40:42] = 8
    ball = (z - 8) ** 2 + (y - 30) ** 2 + (x - 26) ** 2 < 49
    labels[ball & (x < 26)] = 9
    labels[ball & (x >= 26)] = 10
    return labels


def full(shape: tuple[int, ...]) -> np.ndarray:
    """One cell that fills all."""
    return np.ones(shape, np.uint16)


def mask_shapes() -> dict[str, np.ndarray]:
    """The labels that flows are made from, by name."""
    return {
        "packed2": packed((128, 144), (13, 13), seed=1),
        "long2": packed((96, 128), (8, 42), seed=2),
        "awkward2": awkward_plane(),
        "full2": full((40, 48)),
        "packed3": packed((34, 50, 56), (11, 11, 11), seed=3),
        "awkward3": awkward_volume(),
        "full3": full((14, 18, 20)),
    }


def plane_stack() -> np.ndarray:
    """uint16 (7, 96, 112): sections of packed cells, numbered anew in every plane; the fifth plane is empty."""
    volume = packed((28, 96, 112), (14, 14, 14), seed=4)
    stack = np.zeros((7, 96, 112), np.uint16)
    for i in range(7):
        plane = volume[4 * i]
        names = np.unique(plane[plane > 0])
        order = np.argsort(random_bits((len(names),), 50 + i), kind="stable")
        lookup = np.zeros(int(volume.max()) + 1, np.uint16)
        lookup[names[order]] = np.arange(1, len(names) + 1)
        stack[i] = lookup[plane]
    stack[4] = 0
    return stack


def image(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """uint16 texture with slow and fast variation, last axis channels of different range."""
    noise = random_bits(shape, seed)
    places = np.meshgrid(*[np.arange(n) for n in shape[:-1]], indexing="ij")
    waves = sum(np.abs((p % (9 + 4 * i)) - (4.5 + 2 * i)) for i, p in enumerate(places))
    scale = 200.0 * (1 + np.arange(shape[-1]))
    return ((waves / waves.max())[..., None] * scale + noise * 90 + 40).astype(np.uint16)
