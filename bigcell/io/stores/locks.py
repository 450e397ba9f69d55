"""Files that only one process at a time can hold, on local disks and network file systems.

The kernel (on NFS 4, Lustre and the like, the server) keeps the lock and drops it when its holder dies, so nothing has
to be touched from time to time and nobody has to judge from a clock whether a holder still lives.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import SoftFileLock, Timeout

from bigcell.core.errors import OutputError

PAUSE = 0.01
"""Seconds between two tries to get a lock."""
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK}
"""What file systems without locks answer."""


class HeldError(OutputError):
    """Somebody else holds a lock. `holder` is what they say of themselves."""

    def __init__(self, path: Path, holder: Mapping[str, Any]) -> None:
        super().__init__(f"{path} is held by another process; wait for it, or end it")
        self.path, self.holder = path, dict(holder)


@contextmanager
def locked(
    path: Path, *, shared: bool = False, wait: float = 0.0, about: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Hold the lock `path`, a file that exists only while somebody holds it. HeldError after `wait` seconds in vain.

    `shared`: others may hold it at the same time if they say so too. `about` tells others who holds it.
    """
    until = time.monotonic() + wait
    while (file := _open(path, shared=shared)) is None:
        if time.monotonic() >= until:
            raise HeldError(path, _holder(path))
        time.sleep(PAUSE)
    if file < 0:
        with _soft(path, wait):
            yield
        return
    try:
        if about is not None:
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(dict(about)).encode(), 0)
        yield
    finally:
        _leave(path, file)


def _open(path: Path, *, shared: bool) -> int | None:
    """A file descriptor that holds the lock; None while others do; -1 where the file system knows no locks."""
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise OutputError(f"{path} is a link, wanted a file of our own; remove the link") from error
            raise
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            if _stands(path, file):
                return file
        except BlockingIOError:
            os.close(file)
            return None
        except OSError as error:
            os.close(file)
            if error.errno in _NO_LOCKS:
                return -1
            raise
        os.close(file)  # who held it has removed it since it was opened


def _stands(path: Path, file: int) -> bool:
    """Whether `path` still names the open file."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(file))
    except FileNotFoundError:
        return False


def _leave(path: Path, file: int) -> None:
    """Let go; the last holder removes the file while nobody else can hold it."""
    try:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _stands(path, file):
                path.unlink(missing_ok=True)
    finally:
        os.close(file)


def _holder(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes() or b"{}")
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


@contextmanager
def _soft(path: Path, wait: float) -> Iterator[None]:
    """Where there are no locks: a file that only one can create, which a dead holder of this machine loses."""
    try:
        with SoftFileLock(path.with_name(f"{path.name}.soft"), timeout=wait or 0.01):
            yield
    except Timeout as error:
        raise HeldError(path, {}) from error
