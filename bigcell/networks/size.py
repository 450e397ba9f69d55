"""Size models of Cellpose 1 to 3: from the style of an image to the diameter of its cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import numpy as np

from bigcell.core.errors import InputError, ModelError
from bigcell.core.safe_pickle import as_array, read_plain_npy
from bigcell.core.volume import Array

SMALLEST = 5.0  # pixels; what Cellpose takes as the least
_LIMIT = 1 << 22  # bytes; a real one has a few thousand
_PARTS = ("A", "smean", "ymean", "diam_mean")


@dataclass(frozen=True)
class SizeModel:
    """A linear regression from a style to the logarithm of (diameter / `diam_mean`).

    `slope` and `style_mean` have one number for each number of the style; `offset` is the mean logarithm.
    """

    slope: Array = field(repr=False)
    style_mean: Array = field(repr=False)
    offset: float
    diam_mean: float


def estimate_diameter(size_model: SizeModel, styles: Array, *, diam_mean: float | None = None) -> float:
    """The cell diameter in pixels, from the styles of an image's tiles ``(tiles, k)`` or of the image ``(k,)``.

    The image is scaled as the network was trained, by diam_mean / diam_labels, before its styles are taken. Their sum,
    as a unit vector, is the image's style (Stringer et al. 2021, Methods, "Size model"). At least 5 pixels;
    `diam_mean`, by default the size model's, where there is no answer.

    >>> model = SizeModel(np.array([1.0, 0.0]), np.array([0.6, 0.8]), 0.0, 30.0)
    >>> round(estimate_diameter(model, np.array([[0.6, 0.8], [0.6, 0.8]])), 6)
    30.0
    """
    slope, styles = size_model.slope, np.atleast_2d(np.asarray(styles, np.float64))
    if styles.ndim != 2 or styles.shape[1] != len(slope) or not len(styles):
        raise InputError(f"styles have shape {styles.shape}; wanted (tiles, {len(slope)})")
    mean = size_model.diam_mean if diam_mean is None else diam_mean
    style = styles.sum(axis=0)
    with np.errstate(all="ignore"):
        style = style / np.sqrt(np.square(style).sum())
        found = float(np.exp(slope @ (style - size_model.style_mean) + np.log(mean) + size_model.offset))
    return max(SMALLEST, found) if isfinite(found) else mean


def read_size_model(path: str | Path) -> SizeModel:
    """The size model in the file `path`, as Cellpose 1 to 3 write it: ``*_size.npy`` beside the checkpoint.

    The file is a pickle; it is read without making any object of it but numbers, arrays of numbers and a dict.
    Raises ModelError where it is not such a file, or would run code to be read.
    """
    path = Path(path)
    try:
        return _size_model(read_plain_npy(path, limit=_LIMIT))
    except InputError as error:
        told = str(error)
        raise ModelError(
            f"{told if told.startswith(str(path)) else f'{path}: {told}'}; wanted a size model, such as model_size.npy"
        ) from error
    except ModelError as error:
        raise ModelError(f"{path} is not a size model: {error}") from error


def _size_model(found: object) -> SizeModel:
    if not isinstance(found, dict) or not set(_PARTS) <= found.keys():
        raise ModelError(f"it holds {_kind(found)}; wanted a dict with {', '.join(_PARTS)}")
    parts = {name: as_array(found[name]).astype(np.float64).ravel() for name in _PARTS}
    slope, mean = parts["A"], parts["smean"]
    if len(slope) != len(mean) or not len(slope) or len(parts["ymean"]) != 1 or len(parts["diam_mean"]) != 1:
        raise ModelError(f"its parts have {[len(part) for part in parts.values()]} numbers; wanted n, n, 1, 1")
    if not all(np.isfinite(part).all() for part in parts.values()) or not 0 < parts["diam_mean"][0] < 1000:
        raise ModelError("it holds numbers that are not finite, or a diameter that is none")
    return SizeModel(slope, mean, float(parts["ymean"][0]), float(parts["diam_mean"][0]))


def _kind(found: object) -> str:
    if not isinstance(found, dict):
        return type(found).__name__
    return f"a dict with {', '.join(key[:20] for key in list(found)[:4] if isinstance(key, str))}"
