"""Long cells with tails and branches: chains of tapered capsules that are cut against one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from bigcell.core.axes import Zyx
from bigcell.core.volume import Array
from bigcell.synthetic.look import check_ranges
from bigcell.synthetic.tissue import whole_cells

JOINTS = 12
"""Capsules of a cell's spine; a branch has half as many."""


@dataclass(frozen=True)
class Spindles:
    """Long cells. `length` is how many times longer than wide they are; `taper` from 0 to 1, how thin they end;
    `bulge`, how much wider they are around the nucleus; `bend`, how far their spine turns, in radians; `branches`, how
    many a cell has on average. `aligned` from 0 to 1: whether neighbours lie side by side. `filled`: the part of the
    room that they would take if none overlapped; `variety`: the spread of sizes."""

    length: float = 8.0
    taper: float = 0.7
    bulge: float = 0.5
    bend: float = 0.6
    branches: float = 0.8
    aligned: float = 0.5
    filled: float = 0.4
    variety: float = 0.2

    def __post_init__(self) -> None:
        check_ranges(self, length=(1, 50), taper=(0, 1), bulge=(0, 3), bend=(0, 6), branches=(0, 8), aligned=(0, 1))
        check_ranges(self, filled=(0.01, 2), variety=(0, 0.5))


def grow(extent: Zyx, step: Array, um: float, spindles: Spindles, rng: np.random.Generator) -> tuple[Array, Array]:
    """As `tissue.pack`: labels 1..n uint32, and the depth of each voxel: 0 on a spine, 1 on the surface.

    `um` is the diameter of the disc, for a single plane, or of the ball that is as large as a typical cell. In a plane
    the spines lie in it.
    """
    flat = extent[0] == 1
    size = np.array(extent) * step
    margin = np.array([0.0 if flat else um, 1.5 * um, 1.5 * um])  # cells reach in from outside, too
    room = (size + 2 * margin)[int(flat) :].prod()
    each = np.pi / 4 * um**2 if flat else np.pi / 6 * um**3
    labels, depth = np.zeros(extent, np.int32), np.full(extent, np.inf, np.float32)
    field = rng.uniform(0, 2 * np.pi, 3)
    cells = []
    for _ in range(rng.poisson(spindles.filled * room / each)):
        at = rng.uniform(-margin, size + margin)
        at[0] = size[0] / 2 if flat else at[0]
        cells.append(_cell(at, each, _direction(at / um, spindles, flat, field, rng), spindles, rng))
    if cells:
        owner = np.repeat(np.arange(1, len(cells) + 1, dtype=np.int32), [len(c) for c in cells])
        _claim(np.concatenate(cells), owner, step, labels, depth)
    labels[depth >= 1] = 0
    return whole_cells(labels, um**3 / step.prod()), depth


def _direction(at: Array, spindles: Spindles, flat: bool, field: Array, rng: np.random.Generator) -> Array:
    """A unit vector: at random, drawn towards that of the place `at` (in diameters), which turns slowly."""
    free = rng.normal(size=3)
    free[0] *= not flat
    angle = field[0] + 0.8 * np.sin(0.35 * at[1] + field[1]) + 0.8 * np.sin(0.35 * at[2] + field[2])
    common = np.array([0.0, np.sin(angle), np.cos(angle)])
    common *= 1 if free @ common > 0 else -1
    return _unit((1 - spindles.aligned) * _unit(free) + spindles.aligned * common)


def _cell(centre: Array, each: float, way: Array, spindles: Spindles, rng: np.random.Generator) -> Array:
    """Capsules ``(n, 8)``, start, end, radius at the start and at the end, of a cell of area or volume `each` in µm."""
    flat = way[0] == 0
    spine = _walk(np.zeros(3), way, spindles.length, JOINTS, spindles.bend, rng)
    spine -= spine[JOINTS // 2]
    t = np.abs(np.linspace(-1, 1, JOINTS + 1))
    radii = 0.5 * (1 - spindles.taper * t**1.5) * (1 + spindles.bulge * np.exp(-((t / 0.25) ** 2)))
    radii = np.maximum(radii * np.exp(rng.normal(0, 0.1, JOINTS + 1)), 0.05)
    parts = [_capsules(spine, radii)]
    for _ in range(rng.poisson(spindles.branches)):
        joint = int(rng.integers(2, JOINTS - 1))
        along = _unit(spine[joint + 1] - spine[joint - 1]) * rng.choice((-1, 1))
        aside = _unit(rng.normal(size=3) * (not flat, 1, 1))
        length = spindles.length * rng.uniform(0.2, 0.45)
        way = _unit(along + rng.uniform(0.5, 1.5) * aside)
        twig = _walk(spine[joint], way, length, JOINTS // 2, spindles.bend, rng)
        parts.append(_capsules(twig, np.linspace(0.6 * radii[joint], 0.12, JOINTS // 2 + 1)))
    cell = np.concatenate(parts)
    long, wide = np.linalg.norm(cell[:, 3:6] - cell[:, :3], axis=1), cell[:, 6:].sum(1)
    measure = (long * wide).sum() if flat else (long * np.pi / 4 * wide**2).sum()
    scale = (each / measure) ** (1 / 2 if flat else 1 / 3) * np.exp(rng.normal(0, spindles.variety))
    return np.asarray(cell * scale + np.concatenate([centre, centre, (0, 0)]))


def _walk(start: Array, way: Array, length: float, steps: int, bend: float, rng: np.random.Generator) -> Array:
    """``(steps + 1, 3)`` places along a curve from `start` towards `way`; one that lies in a plane stays there."""
    places = [start]
    free = (way[0] != 0, 1, 1)
    drift = rng.normal(size=3) * free
    for _ in range(steps):
        way = _unit(way + bend / steps * (drift + rng.normal(size=3) * free))
        places.append(places[-1] + way * length / steps)
    return np.array(places)


def _capsules(places: Array, radii: Array) -> Array:
    return np.column_stack([places[:-1], places[1:], radii[:-1], radii[1:]])


def _unit(vector: Array) -> Array:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


@njit(cache=True, nogil=True)
def _claim(capsules, owner, step, labels, depth):  # type: ignore[no-untyped-def]
    """Give each voxel to the cell of the capsule that it lies deepest in, as a part of the radius there, squared."""
    low, high, way, at = np.empty(3, np.int64), np.empty(3, np.int64), np.empty(3), np.empty(3)
    for i in range(len(capsules)):
        first, last = capsules[i, 6], capsules[i, 7]
        long = 1e-12
        for a in range(3):
            way[a] = capsules[i, 3 + a] - capsules[i, a]
            long += way[a] * way[a]
            near, far = min(capsules[i, a], capsules[i, 3 + a]), max(capsules[i, a], capsules[i, 3 + a])
            low[a] = max(0, int(np.floor((near - max(first, last)) / step[a])))
            high[a] = min(labels.shape[a], int(np.ceil((far + max(first, last)) / step[a])) + 1)
        for z in range(low[0], high[0]):
            at[0] = (z + 0.5) * step[0] - capsules[i, 0]
            for y in range(low[1], high[1]):
                at[1] = (y + 0.5) * step[1] - capsules[i, 1]
                for x in range(low[2], high[2]):
                    at[2] = (x + 0.5) * step[2] - capsules[i, 2]
                    t = (at[0] * way[0] + at[1] * way[1] + at[2] * way[2]) / long
                    t = min(1.0, max(0.0, t))
                    off = 0.0
                    for a in range(3):
                        off += (at[a] - t * way[a]) ** 2
                    radius = first + t * (last - first)
                    d = off / (radius * radius)
                    if d < depth[z, y, x]:
                        depth[z, y, x] = d
                        labels[z, y, x] = owner[i]
