"""What a worker does with freed memory: gives it back at once, or keeps it for the next array of its size."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

THRIFT = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""For a worker's environment before it starts. glibc: one heap for the many threads that decode chunks, and free
memory goes back at once."""
KEPT = 2**25
"""Bytes of the largest array whose memory is kept: the most that glibc allows."""
_TRIM, _MAP, _ARENAS = -1, -3, -8  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX
_THRIFTY = {_TRIM: 2**16, _MAP: 2**17}


def hold_little() -> bool:
    """What `THRIFT` does, for a process that has started already. False where the C library is not glibc."""
    library = _library()
    return library is not None and bool(library.mallopt(_ARENAS, 2) and library.mallopt(_TRIM, _THRIFTY[_TRIM]))


@contextmanager
def memory_kept() -> Iterator[None]:
    """Within, a worker keeps the memory of arrays of up to `KEPT` bytes; before and after, it gives it back at once.

    For the network, whose layers ask for the same sizes tile after tile: asking the system for fresh pages each time
    takes a quarter of its time. Any other process, and another C library than glibc, is left as it is.
    """
    is_worker = all(os.environ.get(name) == value for name, value in THRIFT.items())
    library = _library() if is_worker else None
    if library is None:
        yield
        return
    for name in _THRIFTY:
        library.mallopt(name, KEPT)
    try:
        yield
    finally:
        for name, bytes_ in _THRIFTY.items():
            library.mallopt(name, bytes_)
        library.malloc_trim(0)


def _library() -> ctypes.CDLL | None:
    """The C library, if it is glibc."""
    try:
        library = ctypes.CDLL(None)
        return library if library.mallopt and library.malloc_trim else None
    except (AttributeError, OSError, TypeError):
        return None
