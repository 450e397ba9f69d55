"""What must not be broken off half way, and processes that Ctrl-C does not reach.

A terminal sends it to all processes of a group; the driver's is enough, and workers would answer with tracebacks.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_QUIET = "ignore:resource_tracker:UserWarning"
_tracked: dict[str, int] = {}
"""The process that started Python's resource tracker for itself; asking it whether it lives wakes it each time."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that would end this process come when this is over; only the first of them, if there are several."""
    came: list[int] = []
    before = _handlers()
    for number in before:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def shielded() -> Iterator[None]:
    """As `undisturbed`; and threads and processes that begin meanwhile, and theirs, never get SIGINT.

    They end when their driver tells them to, or is gone.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    with undisturbed():
        if _tracked.get("by") != os.getpid():
            with _masked(*_ENDING):
                _start_tracker()
        with _masked(signal.SIGINT):
            yield


@contextmanager
def _masked(*numbers: int) -> Iterator[None]:
    """Threads and processes that begin meanwhile never get the signals."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _handlers() -> dict[int, Any]:
    """The handlers that raise, or do other things in Python; only the main thread runs them."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in _ENDING}
    return {number: handler for number, handler in found.items() if callable(handler)}


def _start_tracker() -> None:
    """Start what takes away the semaphores of a driver that was ended; it does so without a word.

    First, because Python starts it before the first process, and lets SIGINT through to that one.
    """
    told = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = f"{told},{_QUIET}" if told else _QUIET
    try:
        resource_tracker.ensure_running()
        _tracked["by"] = os.getpid()
    finally:
        if told is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = told
