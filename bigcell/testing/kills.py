"""A process that is killed just before one of the calls by which it changes files or objects."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obstore

CHANGING = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.utime"}
"""Python tells of each of these before it is done; file descriptors that are opened for writing come with "open"."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
REQUESTS = ("put", "put_async", "delete", "delete_async")


class Countdown:
    """Counts calls, and kills this process before number `last` (0: never). `calls` tells how many there were."""

    def __init__(self, last: int) -> None:
        self.last, self.calls, self.process = last, 0, os.getpid()

    def __call__(self) -> None:
        if os.getpid() != self.process:
            return
        self.calls += 1
        if self.calls == self.last:
            os.kill(self.process, signal.SIGKILL)


def before_each_change(folder: Path, call: Callable[[], None]) -> None:
    """From now on `call` is called before this process changes anything in `folder`, or in an object store."""

    def hear(event: str, about: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = about
            if isinstance(flags, int) and flags & WRITES and _lies_in(path, folder):
                call()
        elif event in CHANGING and (_lies_in(about[0], folder) or -1 not in about[1:]):
            call()  # names are relative to an open folder where a tree is removed

    sys.addaudithook(hear)
    for name in REQUESTS:
        setattr(obstore, name, _announced(getattr(obstore, name), call))


def _lies_in(path: object, folder: Path) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(str(folder))


def _announced(function: Callable[..., Any], call: Callable[[], None]) -> Callable[..., Any]:
    def announced(*arguments: Any, **options: Any) -> Any:
        call()
        return function(*arguments, **options)

    return announced
