"""What arrays of other libraries say of their axes: names, coordinates and units, as xarray and zarr keep them."""

from __future__ import annotations

from typing import Any

import numpy as np

from bigcell.core.axes import ZYX, Spacing
from bigcell.core.errors import InputError
from bigcell.core.units import um_per

WORDS = {
    "time": "t",
    "channel": "c",
    "channels": "c",
    "ch": "c",
    "depth": "z",
    "plane": "z",
    "height": "y",
    "row": "y",
    "width": "x",
    "col": "x",
    "column": "x",
    "sample": "s",
    "samples": "s",
    "band": "c",
}
"""Names of dimensions that are no single letter."""
EVEN = 1e-3
"""Steps between coordinates that differ by less than this part are rounding."""


def names_of(array: Any) -> tuple[str, ...] | None:
    """The names of all dimensions, as xarray, zarr and tensorstore have them; None where there are none."""
    if hasattr(array, "coords"):
        found = getattr(array, "dims", None)
    elif hasattr(array, "domain"):
        found = getattr(array.domain, "labels", None)
    else:
        found = getattr(getattr(array, "metadata", None), "dimension_names", None)
    if found is None and hasattr(array, "metadata"):
        found = array.attrs.get("_ARRAY_DIMENSIONS")  # as xarray has them in Zarr 2
    if not found or len(found) != len(array.shape) or not all(found):
        return None
    names = tuple(map(str, found))
    return None if all(n == f"dim_{i}" for i, n in enumerate(names)) else names


def letters_of(array: Any) -> str | None:
    """A letter a dimension; None where they have no names. InputError for a name that stands for none.

    >>> letter("Y"), letter("channel")
    ('y', 'c')
    """
    names = names_of(array)
    if names is None:
        return None
    letters = [letter(name) for name in names]
    if None in letters or len(set(letters)) < len(letters):
        raise InputError(
            f"the array's dimensions are {', '.join(map(repr, names))}; say which axis is which by a letter each (t "
            "time, c channel, z, y, x, s colour samples), as in axes='czyx'"
        )
    return "".join(str(each) for each in letters)


def letter(name: str) -> str | None:
    """The letter that the name of a dimension stands for."""
    low = name.lower()
    return low if low in set("tczyxs") else WORDS.get(low)


def channel_names(array: Any, letters: str) -> tuple[str, ...]:
    """What the coordinates call the channels; nothing where they have none."""
    found = _coordinate(array, letters, "c")
    return () if found is None else tuple(map(str, np.atleast_1d(found).tolist()))


def spacing_of(array: Any, letters: str) -> Spacing:
    """Voxel size by the coordinates along z, y and x, in µm where all of them have a unit (``attrs["units"]``)."""
    steps, units = {}, {}
    for axis in ZYX:
        found = _coordinate(array, letters, axis)
        steps[axis] = _step(found, axis)
        units[axis] = um_per(_unit(found))
    if is_single(array, letters, "z") and steps["z"] is None:
        steps["z"], units["z"] = 1.0, 1.0  # a plane needs no depth
    if None in steps.values():
        return Spacing(known=False)
    known = None not in units.values()
    z, y, x = ((steps[a] or 1.0) * ((units[a] or 1.0) if known else 1.0) for a in ZYX)
    return Spacing(z, y, x, known=known)


def is_single(array: Any, letters: str, axis: str) -> bool:
    """Whether there is no such axis, or one voxel along it."""
    return axis not in letters or array.shape[letters.index(axis)] == 1


def _step(coordinate: Any, axis: str) -> float | None:
    """The step between coordinates; None where there are none, or one."""
    values = np.asarray([] if coordinate is None else coordinate)
    if values.dtype.kind not in "iuf" or values.size < 2:
        return None
    steps = np.diff(values.astype(np.float64))
    if not np.allclose(steps, steps.mean(), rtol=EVEN, atol=0) or not steps.mean():
        raise InputError(
            f"the coordinates along {axis} are not evenly spaced ({abs(steps).min():g} to {abs(steps).max():g} apart); "
            "resample the array, or leave its coordinates out (array.drop_vars)"
        )
    return float(abs(steps.mean()))


def _unit(coordinate: Any) -> str | None:
    attributes = getattr(coordinate, "attrs", {})
    found = attributes.get("units", attributes.get("unit"))
    return None if found is None else str(found)


def _coordinate(array: Any, letters: str, axis: str) -> Any:
    """The coordinate along an axis, as xarray has it; None where there is none."""
    if not hasattr(array, "coords") or not hasattr(array, "dims") or axis not in letters:
        return None
    return array.coords.get(array.dims[letters.index(axis)])
