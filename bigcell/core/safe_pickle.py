"""Python objects in ``.npy`` files, read as numbers, text, arrays and plain containers: nothing else is ever made.

Such a file is a pickle, and a pickle may call any function while it is read. Here names are looked up in a short table
of stand-ins, so that a hostile file can only fail.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bigcell.core.errors import InputError
from bigcell.core.volume import Array

_CODES = {f"{kind}{size}" for kind, sizes in (("f", "248"), ("i", "1248"), ("u", "1248"), ("b", "1")) for size in sizes}
# What unpickling was seen to raise on files with some bytes changed.
_DAMAGE = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError, MemoryError),
    RecursionError,
)


def read_plain_npy(path: Path, *, limit: int) -> object:
    """The one Python object that ``np.save`` left in the file `path`, of at most `limit` bytes.

    Arrays come as stand-ins, which `as_array` turns into arrays. Raises InputError, naming the file, where it is not
    such a file, is damaged, or would run code to be read.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file")
    if path.stat().st_size > limit:
        raise InputError(f"{path} has {path.stat().st_size} bytes, wanted at most {limit}")
    try:
        return plain_object(path.read_bytes())
    except pickle.UnpicklingError as error:
        raise InputError(f"{path} cannot be read as plain numbers ({error}), and all else might run code") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except _DAMAGE as error:
        raise InputError(
            f"{path} is not readable ({type(error).__name__} {str(error)[:99]}): is it damaged?"
        ) from error


def plain_object(content: bytes) -> object:
    """As `read_plain_npy`, of the `content` of a file; what is wrong with the pickle is raised as pickle does."""
    wide = content[6:7] != b"\x01"  # versions 2 and 3 of the format have four bytes for the length of the header
    start = (12 if wide else 10) + int.from_bytes(content[8 : 12 if wide else 10], "little")
    if not content.startswith(b"\x93NUMPY") or b"'|O'" not in content[:start]:
        raise InputError("it is not an .npy file of a Python object; wanted one dict")
    rest = content[start:]
    for code, value, _ in pickletools.genops(rest):
        if code.name.endswith("PUT") and value is not None and int(value) > len(rest):  # C's memo is an array
            raise InputError("its pickle counts more objects than it has bytes")
    found = _Plain(rest).load()
    if isinstance(found, _Array) and isinstance(found.data, list) and len(found.data) == 1:
        return found.data[0]
    return found


def as_array(part: object) -> Array:
    """A part of what `read_plain_npy` gave as an array of numbers, read-only; InputError where it is none."""
    if isinstance(part, _Array):
        try:
            return part.array()
        except _DAMAGE as error:
            raise InputError(f"an array in it cannot be read ({str(error)[:100]})") from error
    if isinstance(part, bool | int | float):
        return np.asarray(part)
    raise InputError(f"it holds a {type(part).__name__} where an array of numbers was wanted")


class _Dtype:
    """Stands in for numpy.dtype: a code such as "f8", and a byte order."""

    def __init__(self, code: str = "", align: bool = False, copy: bool = True) -> None:
        self.code, self.order = code, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1] if state[1] in ("<", ">") else "<"

    def read(self, data: bytes | bytearray) -> Array:
        if not isinstance(self.code, str) or self.code not in _CODES:
            raise InputError(f"it holds an array of {str(self.code)[:20]!r}; wanted numbers")
        return np.frombuffer(data, self.order + self.code)


class _Array:
    """Stands in for numpy.ndarray: the shape, dtype and bytes that were written, or a list of objects."""

    def __init__(self, *_: object) -> None:
        self.shape: Any = (0,)
        self.dtype: Any = _Dtype("f8")
        self.order: Literal["C", "F"] = "C"
        self.data: Any = b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, fortran, self.data = state
        self.order = "F" if fortran else "C"

    def array(self) -> Array:
        if not isinstance(self.data, bytes | bytearray) or not isinstance(self.dtype, _Dtype):
            raise InputError("it holds an array of objects; wanted numbers")
        values = self.dtype.read(self.data)
        shape = tuple(int(n) for n in self.shape)
        if len(shape) > 8 or prod(shape) != values.size or any(n < 0 for n in shape):
            raise InputError(f"an array in it says it has shape {shape[:8]}, but holds {values.size} numbers")
        return values.reshape(shape, order=self.order)


def _from_buffer(data: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str, *_: object) -> _Array:
    """How arrays are written since protocol 5."""
    made = _Array()
    made.__setstate__((1, shape, dtype, order == "F", data))
    return made


def _scalar(dtype: _Dtype, data: bytes) -> float:
    return float(dtype.read(data)[0])


def _path(*parts: str) -> str:
    """A path as text."""
    return "/".join(part for part in parts if isinstance(part, str))[:4096]


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
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Call(_scalar) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Call(_from_buffer) for core in ("core", "_core")},
    **{
        (module, f"{kind}{system}Path"): _Call(_path)
        for module in ("pathlib", "pathlib._local")
        for kind in ("", "Pure")
        for system in ("Posix", "Windows")
    },
}


class _Plain(pickle.Unpickler):
    """An unpickler that knows numbers, arrays of numbers and plain containers, as stand-ins, and nothing else."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self._left = len(content)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _Call(self._bytes)
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module[:60]}.{name[:60]}") from None

    def _bytes(self, text: str, encoding: str) -> bytes:
        """How old pickles write bytes. One text may be asked for again and again: all of them are no more than it."""
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"bytes in {str(encoding)[:20]!r}")
        self._left -= len(text)
        if self._left < 0:
            raise pickle.UnpicklingError("it unfolds to more bytes than it has")
        return text.encode("latin1")
