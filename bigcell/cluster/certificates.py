"""Certificates of one run: who has them may talk to its scheduler and workers, and nobody else may listen."""

from __future__ import annotations

import os
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

from distributed.security import Security
from platformdirs import user_cache_path

from bigcell.core.errors import SettingsError


@dataclass(frozen=True)
class Certificates:
    """`files` can be read by this user alone; jobs of other machines read them as well, so they are in a shared folder.

    They are made for `security` and of no use after it.
    """

    security: Security
    files: tuple[Path, Path, Path]

    @classmethod
    def make(cls, shared: Path) -> Certificates:
        """New ones, in the folder `shared` or, if job scripts could not name that, in the user's cache folder."""
        folder = _nameable(shared)
        made = Security.temporary()
        ca, cert, key = (_write(folder, text) for text in (made.tls_ca_file, made.tls_worker_cert, made.tls_worker_key))
        roles = ("scheduler", "worker", "client")
        paths = {f"tls_{role}_{kind}": str(path) for role in roles for kind, path in (("cert", cert), ("key", key))}
        return cls(Security(tls_ca_file=str(ca), require_encryption=True, **paths), (ca, cert, key))

    def remove(self) -> None:
        for file in self.files:
            file.unlink(missing_ok=True)


def _nameable(shared: Path) -> Path:
    """A folder whose name stands unquoted in the scripts of jobs."""
    for folder in (shared, user_cache_path("bigcell")):
        if shlex.quote(str(folder)) == str(folder):
            folder.mkdir(parents=True, exist_ok=True)
            return folder
    raise SettingsError(
        f"certificates can lie neither in {shared} nor in {user_cache_path('bigcell')}, whose names hold spaces or "
        "the like: put the labels elsewhere, or set XDG_CACHE_HOME"
    )


def _write(folder: Path, text: str) -> Path:
    handle, name = tempfile.mkstemp(prefix=".certificate-", dir=folder)  # made for its owner alone
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return Path(name)
