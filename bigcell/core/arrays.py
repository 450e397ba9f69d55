"""Arrays of other libraries as NumPy arrays in the machine's byte order; what is none is refused in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing import parent_process
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bigcell.core.errors import InputError
from bigcell.core.volume import Array

WANTED = "wanted an array (NumPy, dask, zarr, xarray, torch, lists of numbers), a volume, or the path of an OME-Zarr"


def as_array(source: ArrayLike) -> Array:
    """All of `source` in memory.

    >>> as_array([[0, 2]]).shape
    (1, 2)
    """
    values = in_memory(reachable(source))
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def reachable(source: Any) -> Any:
    """`source`, if it is an array: a tensor is taken from its GPU, and from what it knows of gradients."""
    if hasattr(source, "detach"):
        source = source.detach().cpu()
    if not (hasattr(source, "__array__") or is_lazy(source) or isinstance(source, Sequence)):
        raise InputError(f"found {_kind(source)}, {WANTED}")
    return source


def is_lazy(source: object) -> bool:
    """Whether it is no NumPy array, but can be cut by slices like one."""
    return not isinstance(source, np.ndarray) and all(hasattr(source, a) for a in ("shape", "dtype", "__getitem__"))


def in_memory(part: Any) -> Array:
    """The values of (a part of) an array. In a worker dask is kept from asking its scheduler, which waits for us."""
    try:
        if parent_process() is not None and getattr(part, "__dask_graph__", None) is not None:
            part = part.compute(scheduler="synchronous")
        values = np.asarray(part)
    except Exception as error:  # each library has errors of its own
        raise InputError(
            f"{_kind(part)} cannot be read as an array ({_short(error)}); make it a NumPy array first"
        ) from error
    if np.ma.is_masked(part):
        raise InputError("the array has masked voxels, which hold no intensity; give them one, as in array.filled(0)")
    if values.shape != getattr(part, "shape", values.shape):
        raise InputError(f"{_kind(part)} cannot be read as an array; make it a NumPy array first")
    return values


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What voxels of `dtype` are read as: in the machine's byte order, bool as uint8.

    >>> native(np.dtype(bool)), native(np.dtype(">f4")).isnative
    (dtype('uint8'), True)
    """
    if dtype.kind not in "uifb" or dtype.itemsize > 8:
        raise InputError(f"the array has dtype {dtype}; wanted integers or floats of at most 64 bits: convert it first")
    return np.dtype(np.uint8) if dtype.kind == "b" else dtype.newbyteorder("=")


def _kind(source: object) -> str:
    return f"{type(source).__module__}.{type(source).__name__}".removeprefix("builtins.")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:150]
