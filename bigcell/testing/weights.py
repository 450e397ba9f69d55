"""Weights of any network from a seed alone: the same numbers under any torch, so that no file need hold them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from bigcell.core.volume import Array


def weights_from_seed(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Array]:
    """Make values for the entries of a state dict.

    Each entry depends on its name, its shape and `seed` only. Matrices and kernels are spread so that signals keep
    their size from layer to layer; what batch norm has seen is near mean 0 and variance 1, and never negative. Entries
    named ``diam_mean`` and ``diam_labels`` are 30.

    Parameters
    ----------
    shapes
        The shape of each entry, by its name.
    seed
        Another number makes other values.

    Returns
    -------
    dict
        An array for each entry, float32 but for the counters of batch norm, which are 0.

    Examples
    --------
    >>> w = weights_from_seed({"a.weight": (2, 3), "a.running_var": (2,), "diam_mean": (1,)})
    >>> w["a.weight"].shape, bool((w["a.running_var"] > 0).all()), w["diam_mean"]
    ((2, 3), True, array([30.], dtype=float32))
    """
    return {name: _values(name, tuple(shape), seed) for name, shape in shapes.items()}


def _values(name: str, shape: tuple[int, ...], seed: int) -> Array:
    kind = name.rsplit(".", 1)[-1]
    if kind == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if kind in ("diam_mean", "diam_labels"):
        return np.full(shape, 30, np.float32)
    uniform = _uniform(name, shape, seed)
    if kind == "running_var":
        return np.float32(1) + np.float32(0.4) * uniform
    if kind == "weight" and len(shape) == 1:
        return np.float32(1) + np.float32(0.2) * uniform
    if len(shape) > 1:
        fan_in = int(np.prod(shape[1:])) if kind == "weight" else 3 * 50**2
        return uniform * np.float32(np.sqrt(3 / fan_in))
    return np.float32(0.1) * uniform


def _uniform(name: str, shape: tuple[int, ...], seed: int) -> Array:
    """float32 between -1 and 1. From raw bits, whose stream numpy keeps, as it does not that of its distributions."""
    bits = np.random.Philox(key=seed, counter=zlib.crc32(name.encode())).random_raw(int(np.prod(shape)))
    return ((bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)).reshape(shape)
