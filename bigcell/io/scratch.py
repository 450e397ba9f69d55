"""Scratch: what the steps of a run leave for each other. On disk for large volumes, in memory for small ones.

Every entry is written whole by one task under a name of its own and appears at once or not at all, so a task may run
twice, and a reader never sees half of one.
"""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numcodecs import blosc

from bigcell.core.box import Box
from bigcell.core.errors import OutputError
from bigcell.core.volume import Array
from bigcell.io.atomic import replace_file

_CHUNK = 64
_FRAME = 1 << 26
"""Bytes that are compressed together (blosc takes at most 2^31)."""
_SMALL = 1 << 16
"""Bytes up to which an array is packed with lz4: a seventh larger, and five times as fast as zstd, which takes its time
to begin."""


class Scratch(Protocol):
    """Named entries: groups of small arrays, dense arrays that are read box by box, and logs of lines."""

    def save(self, name: str, arrays: Mapping[str, Array]) -> None: ...
    def load(self, name: str) -> dict[str, Array]: ...
    def save_dense(self, name: str, array: Array) -> None: ...
    def load_dense(self, name: str, box: Box) -> Array: ...
    def remove(self, name: str) -> None: ...
    def append(self, name: str, line: bytes) -> None: ...
    def lines(self, name: str) -> Iterator[bytes]: ...


@dataclass
class MemoryScratch:
    """Scratch for one process and a volume that fits in memory."""

    entries: dict[str, Any] = field(default_factory=dict)

    def save(self, name: str, arrays: Mapping[str, Array]) -> None:
        self.entries[name] = dict(arrays)

    def load(self, name: str) -> dict[str, Array]:
        return dict(self.entries[name])

    def save_dense(self, name: str, array: Array) -> None:
        self.entries[name] = array

    def load_dense(self, name: str, box: Box) -> Array:
        array: Array = self.entries[name]
        return array[(slice(None),) * (array.ndim - 3) + box.slices]

    def remove(self, name: str) -> None:
        """Take an entry away, if it is there."""
        self.entries.pop(name, None)

    def append(self, name: str, line: bytes) -> None:
        self.entries.setdefault(name, []).append(line)

    def lines(self, name: str) -> Iterator[bytes]:
        yield from self.entries.get(name, ())


@dataclass(frozen=True)
class DiskScratch:
    """Scratch in a folder of the local file system."""

    folder: Path

    def save(self, name: str, arrays: Mapping[str, Array]) -> None:
        self._place(f"{name}.arrays", pack(arrays))

    def load(self, name: str) -> dict[str, Array]:
        return unpack((self.folder / f"{name}.arrays").read_bytes())

    def save_dense(self, name: str, array: Array) -> None:
        codec = b"zstd" if array.dtype.kind == "i" else b"lz4"  # flows are many and noisy, labels few and smooth
        frames = [blosc.compress(np.ascontiguousarray(array[part]), codec, 1) for part in _chunks(array.shape)]
        head = {"dtype": array.dtype.str, "shape": array.shape, "lengths": [len(f) for f in frames]}
        self._place(f"{name}.dense", b"".join([json.dumps(head).encode(), b"\n", *frames]))

    def load_dense(self, name: str, box: Box) -> Array:
        path = self.folder / f"{name}.dense"
        with path.open("rb") as file:
            head = json.loads(file.readline())
            begin, shape, dtype = file.tell(), tuple(head["shape"]), np.dtype(head["dtype"])
            ends = np.cumsum([0, *head["lengths"]])
            values = np.empty((*shape[:-3], *box.shape), dtype)
            for number, part in enumerate(_chunks(shape)):
                chunk = Box(tuple(s.start for s in part[-3:]), tuple(s.stop for s in part[-3:]))
                wanted = chunk & box
                if wanted.is_empty:
                    continue
                file.seek(begin + int(ends[number]))
                frame = blosc.decompress(file.read(int(ends[number + 1] - ends[number])))
                held = np.frombuffer(frame, dtype).reshape([s.stop - s.start for s in part])
                inner = (slice(None),) * (len(shape) - 3) + wanted.relative_to(chunk).slices
                values[(*part[:-3], *wanted.relative_to(box).slices)] = held[inner]
        return values

    def remove(self, name: str) -> None:
        """Take an entry away, if it is there: removing it twice is harmless."""
        with _refusals(self.folder):
            for kind in ("arrays", "dense"):
                (self.folder / f"{name}.{kind}").unlink(missing_ok=True)

    def append(self, name: str, line: bytes) -> None:
        """Add a line to the log `name`. Each process writes a file of its own, in one go: any number may append."""
        path = self.folder / name / f"{_writer(os.getpid())}.log"
        with _refusals(self.folder):
            try:
                _append(path, b"\n%s\n" % line)  # begins anew, should the line before be torn
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                _append(path, b"\n%s\n" % line)

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a log, writer after writer. The last one of a writer that died may be torn."""
        for path in sorted((self.folder / name).glob("*.log")):
            with path.open("rb") as file:
                yield from (line.rstrip(b"\n") for line in file if line != b"\n")

    def more_lines(self, name: str, read: dict[str, int]) -> Iterator[bytes]:
        """The lines of a log that are whole by now, after the bytes of each file that `read` says are known."""
        for path in sorted((self.folder / name).glob("*.log")):
            with path.open("rb") as file:
                file.seek(read.get(path.name, 0))
                for line in file:
                    if not line.endswith(b"\n"):  # being written
                        break
                    read[path.name] = read.get(path.name, 0) + len(line)
                    if line != b"\n":
                        yield line.rstrip(b"\n")

    def write_note(self, name: str, note: Mapping[str, Any]) -> None:
        """A JSON document of its own, at once or not at all."""
        self._place(f"{name}.json", json.dumps(note).encode())

    def _place(self, name: str, content: bytes) -> None:
        path = self.folder / name
        with _refusals(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)


@lru_cache(maxsize=1)
def _writer(process: int) -> str:
    """The name of this process among all that ever write; a forked one has another."""
    return f"{process}-{uuid.uuid4().hex[:12]}"


def _append(path: Path, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        if os.write(file, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def pack(arrays: Mapping[str, Array]) -> bytes:
    """Named arrays of numbers as bytes: one line of JSON that tells names, types and shapes, then compressed frames.

    Ten times as fast as zip, for tables that are written once and read a few times.
    """
    heads, frames = [], []
    for name, array in arrays.items():
        if array.dtype.kind not in "iufb":
            raise ValueError(f"array {name!r} of {array.dtype} given, wanted numbers")
        row = array.shape[-1] if array.ndim > 1 else 1  # bytes of a column lie together in the frame
        width = array.itemsize * row if array.itemsize * row <= 64 else array.itemsize
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        step = max(1, _FRAME // width) * width
        codec = b"zstd" if len(flat) > _SMALL else b"lz4"
        parts = [blosc.compress(_as_rows(flat[i : i + step], width), codec, 1) for i in range(0, len(flat), step)]
        heads.append([name, array.dtype.str, array.shape, [len(p) for p in parts]])
        frames += parts
    return b"".join([json.dumps(heads).encode(), b"\n", *frames])


def _as_rows(flat: Array, width: int) -> Array:
    return flat.view(f"V{width}") if width > 1 else flat


def unpack(content: bytes) -> dict[str, Array]:
    """What `pack` packed. ValueError for anything else; nothing in `content` is run."""
    try:
        line = content.index(b"\n")
        heads, at, arrays = json.loads(content[:line]), line + 1, {}
        for name, dtype, shape, lengths in heads:
            kind = np.dtype(dtype)
            if kind.kind not in "iufb":
                raise ValueError(f"array {name!r} is of {kind}, wanted numbers")
            parts = []
            for length in lengths:
                parts.append(blosc.decompress(content[at : at + length]))
                at += length
            whole = parts[0] if len(parts) == 1 else b"".join(parts)
            arrays[name] = np.frombuffer(bytearray(whole), kind).reshape(shape)
        return arrays
    except (RuntimeError, TypeError, KeyError) as error:
        raise ValueError(f"this is not a table that bigcell packed, or a damaged one ({error})") from error


def _chunks(shape: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """The parts of an array (..., z, y, x) that are compressed one by one: about 64^3 voxels, flat ones wider."""
    planes, side = min(shape[-3], _CHUNK), _CHUNK
    while planes * (2 * side) ** 2 <= _CHUNK**3:
        side *= 2
    for box in Box.of(shape).split((1,) * (len(shape) - 3) + (planes, side, side)):
        yield box.slices


class _refusals:  # noqa: N801 - used as a statement
    """Turns the file system's refusal to write into one sentence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, OutputError):
            raise OutputError(
                f"cannot write to {self.folder}: {error.strerror or error}; make room or permission there, "
                "then continue with `bigcell resume`"
            ) from error
