"""What a worker does with freed memory: gives it back at once, or keeps it for the next array of its size."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from bigcell.engine.executors import THRIFT

KEPT = 2**25
"""Bytes of the largest array whose memory is kept: the most that glibc allows."""
_TRIM, _MAP = -1, -3  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
_THRIFTY = {_TRIM: 2**16, _MAP: 2**17}


@contextmanager
def memory_kept() -> Iterator[None]:
    """Within, a worker keeps the memory of arrays of up to `KEPT` bytes; before and after, it gives it back at once.

    For the network, whose layers ask for the same sizes tile after tile: asking the system for fresh pages each time
    takes a quarter of its time. Any other process, and another C library than glibc, is left as it is.
    """
    library = _library()
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
    """The C library of a worker that was started with `THRIFT`."""
    if any(os.environ.get(name) != value for name, value in THRIFT.items()):
        return None
    try:
        library = ctypes.CDLL(None)
        return library if library.mallopt and library.malloc_trim else None
    except (AttributeError, OSError, TypeError):
        return None
