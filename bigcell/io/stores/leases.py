"""Who makes labels of a name in a store: one driver at a time, or the workers of one array.

In local stores the lease is a locked file beside the labels, which a dead driver loses at once. In object stores it is
a small object that its holder writes again from time to time; it is lost by a holder that was silent for `SILENCE`
seconds by the server's clock, and at once by one that is known to be dead.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

from bigcell.core.errors import OutputError
from bigcell.io.stores.location import read_bytes
from bigcell.io.stores.locks import HeldError, locked
from bigcell.io.stores.urls import is_url, joined

BEAT = 30.0
"""Seconds between two times that a lease in an object store is written."""
SILENCE = 300.0
"""Seconds without a word after which it is lost."""

WORK = ".bigcell"
"""How folders end that hold what runs have done so far. They go when they are empty."""

IsDead = Callable[[Mapping[str, Any]], bool]
"""Whether a holder is known to have ended, by what it says of itself."""


@contextmanager
def leased(place: str | Path, about: Mapping[str, Any], *, is_dead: IsDead, shared: bool = False) -> Iterator[None]:
    """Hold the lease of what is made at `place`, a path or a URL. HeldError where somebody else holds it.

    `shared`: others may hold it too if they say so as well, and if their `about` names the same "run". `is_dead` is
    asked of the holder of a lease in an object store. Folders made for the lease go with it if they are empty.
    """
    if is_url(place):
        with RemoteLease(_lease_of(place), dict(about), is_dead, shared=shared).held():
            yield
        return
    path = Path(_lease_of(place))
    made = [parent for parent in path.parents if not parent.exists() or parent.suffix == WORK]
    with ExitStack() as stack:
        stack.callback(_remove_empty, made)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(path, shared=shared, about=about))
        except OutputError:
            raise
        except OSError as error:
            raise OutputError(f"{path.parent} cannot be written ({error}); give another place") from error
        yield


def lease_is_there(place: str | Path) -> bool:
    """Whether somebody holds the lease of `place`, or was killed who held it."""
    return read_bytes(_lease_of(place)) is not None


def _lease_of(place: str | Path) -> str:
    folder, _, name = str(place).rpartition("/")
    return joined(folder, f".{name}.lease")


def is_lease(path: Path) -> bool:
    """Whether a file is the lease of something beside it.

    >>> is_lease(Path("a.zarr/labels/.cells.lease")), is_lease(Path("a.zarr/labels/cells"))
    (True, False)
    """
    return path.name.startswith(".") and path.name.endswith((".lease", ".lease.soft"))


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@dataclass
class RemoteLease:
    """The lease in the object `url`, written again by a thread while it is held.

    The object names the run, and its holders by a word that each of them makes up. The last one to leave removes it.
    """

    url: str
    about: dict[str, Any]
    is_dead: IsDead
    shared: bool
    _token: str = field(default_factory=lambda: uuid.uuid4().hex)
    _lost: bool = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Take it, keep it, and give it back. OutputError at the end where it was lost meanwhile."""
        self._change(self._joined)
        ended = Event()
        thread = Thread(target=self._beat, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            with suppress(Exception):  # it is lost by itself after a while
                self._change(self._left)
        if self._lost:
            raise OutputError(f"another driver took over these labels while this one was silent for {SILENCE:.0f} s")

    def _change(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Have the holders be what `change` makes of them. The object goes with the last one."""
        from bigcell.io.stores.remote import fetch_version, remove_object, upload_if

        for _ in range(20):
            held, version = fetch_version(self.url)
            holders = change(_holders(held))
            if not holders:
                remove_object(self.url)
                return
            if upload_if(self._content(holders), self.url, version):
                return
        raise OutputError(f"{self.url} is taken by others all the time; wait for them")

    def _joined(self, holders: dict[str, Any]) -> dict[str, Any]:
        """This one and those of the same array. HeldError where another run holds the lease."""
        living = {token: about for token, about in holders.items() if not self.is_dead(about)}
        others = {token: about for token, about in living.items() if not self._goes_with(about)}
        if others and self._age() <= SILENCE:
            raise HeldError(Path(self.url.rpartition("/")[2]), next(iter(others.values())))
        return {**{t: about for t, about in living.items() if t not in others}, self._token: self._me}

    def _kept(self, holders: dict[str, Any]) -> dict[str, Any]:
        self._lost = bool(holders) and self._token not in holders and not any(map(self._goes_with, holders.values()))
        return holders if self._lost else {**holders, self._token: self._me}

    def _left(self, holders: dict[str, Any]) -> dict[str, Any]:
        return {t: about for t, about in holders.items() if t != self._token and not self.is_dead(about)}

    @property
    def _me(self) -> dict[str, Any]:
        return {**self.about, "shared": self.shared}

    def _goes_with(self, holder: Mapping[str, Any]) -> bool:
        """Whether a holder is another worker of the same array."""
        return self.shared and bool(holder.get("shared")) and holder.get("run") == self.about.get("run")

    def _content(self, holders: Mapping[str, Any]) -> bytes:
        return json.dumps({"holders": dict(holders)}).encode()

    def _age(self) -> float:
        """Seconds since the lease was written, both times by the server's clock."""
        from bigcell.io.stores.remote import modified, remove_below, upload

        probe = joined(self.url.rpartition("/")[0], f".{uuid.uuid4().hex}.lease-probe")
        upload(b"", joined(probe, "now"))
        now, then = modified(joined(probe, "now")), modified(self.url)
        remove_below(probe)
        return (now - then).total_seconds() if now is not None and then is not None else 0.0

    def _beat(self, ended: Event) -> None:
        while not self._lost and not ended.wait(BEAT):
            with suppress(Exception):  # a server that fails for a while: SILENCE is long
                self._change(self._kept)


def _holders(content: bytes | None) -> dict[str, Any]:
    """The holders by their words; what is no such document has one that nobody knows."""
    if content is None:
        return {}
    try:
        holders = json.loads(content)["holders"]
        return {str(token): dict(about) for token, about in holders.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {"": {}}
