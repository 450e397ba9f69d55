"""Where a crop lies in a plane: a random turn, flip and scale, and the place that it is centred on."""

from __future__ import annotations

import numpy as np

from bigcell.core.volume import Array
from bigcell.training.crops.augment import Augmentation


def random_turn(diameter: float, settings: Augmentation, rng: np.random.Generator) -> tuple[Array, float]:
    """The matrix (2, 2) from pixels of a crop to pixels of a plane whose cells have that `diameter`, and the scale:
    how many pixels of the crop are one of the plane. Half of the turns are quarters, which blur nothing."""
    scale = settings.diameter / diameter * np.exp(rng.uniform(-1, 1) * np.log(settings.zoom))
    turn = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else rng.integers(4) * np.pi / 2
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / scale
    matrix[:, 0] *= rng.choice((-1, 1))
    return matrix, float(scale)


def offset_of(centre: Array, matrix: Array, side: int, *, scale: float, crop: int, shape: tuple[int, int]) -> Array:
    """The place (2,) in a plane of `shape` of the first pixel of a crop of `side` pixels around about `centre`.

    The centre is moved so that less than half of a `crop` reaches beyond the plane.
    """
    half = np.minimum(0.4 * crop / scale, np.array(shape) / 2)
    placed: Array = np.clip(centre, half, shape - half) - matrix @ np.full(2, (side - 1) / 2)
    return placed


def extent_of(matrix: Array, offset: Array, side: int) -> tuple[Array, Array]:
    """The least and the greatest place (2,) in the plane of the pixels of a crop."""
    corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)]) * (side - 1) @ matrix.T + offset
    return corners.min(0), corners.max(0)
