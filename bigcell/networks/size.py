"""Size models of Cellpose 1 to 3: from the style of an image to the diameter of its cells."""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from bigcell.core.errors import InputError, ModelError
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
    if not path.is_file():
        raise ModelError(f"{path} is not a file; wanted a size model, such as model_size.npy")
    if path.stat().st_size > _LIMIT:
        raise ModelError(f"{path} has {path.stat().st_size} bytes; a size model has a few thousand")
    try:
        found = _unpickled(path.read_bytes())
        model = _size_model(found)
    except ModelError as error:
        raise ModelError(f"{path} is not a size model: {error}") from error
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        EOFError,
        OverflowError,
        MemoryError,
        RecursionError,
    ) as error:
        raise ModelError(f"{path} is not a readable size model ({error}); is it damaged?") from error
    except pickle.UnpicklingError as error:
        raise ModelError(f"{path} cannot be read as plain numbers ({error}), and all else might run code") from error
    return model


def _size_model(found: object) -> SizeModel:
    if not isinstance(found, dict) or not set(_PARTS) <= found.keys():
        raise ModelError(f"it holds {_kind(found)}; wanted a dict with {', '.join(_PARTS)}")
    parts = {name: np.asarray(_plain(found[name]), np.float64).ravel() for name in _PARTS}
    slope, mean = parts["A"], parts["smean"]
    if len(slope) != len(mean) or not len(slope) or len(parts["ymean"]) != 1 or len(parts["diam_mean"]) != 1:
        raise ModelError(f"its parts have {[len(part) for part in parts.values()]} numbers; wanted n, n, 1, 1")
    if not all(np.isfinite(part).all() for part in parts.values()) or not 0 < parts["diam_mean"][0] < 1000:
        raise ModelError("it holds numbers that are not finite, or a diameter that is none")
    return SizeModel(slope, mean, float(parts["ymean"][0]), float(parts["diam_mean"][0]))


def _kind(found: object) -> str:
    return f"a dict with {', '.join(map(str, list(found)[:4]))}" if isinstance(found, dict) else type(found).__name__


def _unpickled(content: bytes) -> object:
    """The one object of an ``.npy`` file of Python objects, in stand-ins."""
    wide = content[6:7] != b"\x01"  # versions 2 and 3 of the format have four bytes for the length of the header
    start = (12 if wide else 10) + int.from_bytes(content[8 : 12 if wide else 10], "little")
    if not content.startswith(b"\x93NUMPY") or b"'|O'" not in content[:start]:
        raise ModelError("it is not an .npy file of a Python object; wanted one dict")
    rest = content[start:]
    for code, value, _ in pickletools.genops(rest):
        if code.name.endswith("PUT") and value is not None and int(value) > len(rest):  # C's memo is an array
            raise ModelError("its pickle counts more objects than it has bytes")
    found = _Plain(io.BytesIO(rest)).load()
    return found.values[0] if isinstance(found, _Array) and len(found.values) == 1 else found


class _Dtype:
    """Stands in for numpy.dtype: a code such as "f8", and a byte order."""

    def __init__(self, code: str = "", align: bool = False, copy: bool = True) -> None:
        self.code, self.order = code, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "<"

    def read(self, data: bytes) -> Array:
        if not isinstance(self.code, str) or self.code not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8"):
            raise pickle.UnpicklingError(f"an array of {str(self.code)[:20]!r}")
        return np.frombuffer(data, self.order + self.code)


class _Array:
    """Stands in for numpy.ndarray: numbers, or objects, in the order they are written."""

    def __init__(self, *_: object) -> None:
        self.values: Any = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, _, dtype, _, data = state
        self.values = data if isinstance(data, list) else dtype.read(data)


def _scalar(dtype: _Dtype, data: bytes) -> float:
    return float(dtype.read(data)[0])


def _bytes(text: str, encoding: str) -> bytes:
    """How old pickles write bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding!r}")
    return text.encode("latin1")


class _Call:
    """A function that a pickle may call and not change."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> object:
        return self._function(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it changes a function")


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Call(_bytes),
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _Call(_scalar),
    ("numpy._core.multiarray", "scalar"): _Call(_scalar),
}


class _Plain(pickle.Unpickler):
    """An unpickler that knows numbers, arrays of numbers and plain containers, as stand-ins, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def _plain(part: object) -> object:
    """A part as numbers."""
    return part.values if isinstance(part, _Array) else part
