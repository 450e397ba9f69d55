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
from bigcell.io.location import is_url, joined, read_bytes
from bigcell.io.locks import HeldError, locked

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
    return path.name.startswith(".") and path.name.endswith(".lease")


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@dataclass
class RemoteLease:
    """The lease in the object `url`, written again by a thread while it is held."""

    url: str
    about: dict[str, Any]
    is_dead: IsDead
    shared: bool
    _version: dict[str, str] = field(default_factory=dict)
    _lost: bool = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Take it, keep it, and give it back. OutputError at the end where it was lost meanwhile."""
        self.about = {**self.about, "shared": self.shared, "token": uuid.uuid4().hex}
        self._take()
        ended = Event()
        thread = Thread(target=self._beat, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            with suppress(Exception):  # it is lost by itself after a while
                self._give_back()
        if self._lost:
            raise OutputError(f"another driver took over these labels while this one was silent for {SILENCE:.0f} s")

    def _take(self) -> None:
        from bigcell.io.remote import fetch_version, upload_if

        for _ in range(10):
            held, version = fetch_version(self.url)
            holder = _holder(held)
            if held is not None and not self._may_take(holder):
                raise HeldError(Path(self.url.rpartition("/")[2]), holder)
            if upload_if(self._content(), self.url, version):
                return
        raise OutputError(f"{self.url} is taken by others all the time; wait for them")

    def _may_take(self, holder: Mapping[str, Any]) -> bool:
        """Whether the lease of `holder` is of the same array, or is lost."""
        if self.shared and holder.get("shared") and holder.get("run") == self.about.get("run"):
            return True
        return self.is_dead(holder) or self._age() > SILENCE

    def _age(self) -> float:
        """Seconds since the lease was written, both times by the server's clock."""
        from bigcell.io.remote import modified, remove_below, upload

        probe = joined(self.url.rpartition("/")[0], f".{uuid.uuid4().hex}.lease-probe")
        upload(b"", joined(probe, "now"))
        now, then = modified(joined(probe, "now")), modified(self.url)
        remove_below(probe)
        return (now - then).total_seconds() if now is not None and then is not None else 0.0

    def _content(self) -> bytes:
        return json.dumps(self.about).encode()

    def _beat(self, ended: Event) -> None:
        from bigcell.io.remote import fetch_version, upload_if

        while not ended.wait(BEAT):
            with suppress(Exception):  # a server that fails for a while: SILENCE is long
                held, version = fetch_version(self.url)
                if held is None or self._is_ours(_holder(held)):
                    upload_if(self._content(), self.url, version)
                else:
                    self._lost = True
                    return

    def _is_ours(self, holder: Mapping[str, Any]) -> bool:
        same_array = self.shared and holder.get("run") == self.about.get("run")
        return holder.get("token") == self.about["token"] or same_array

    def _give_back(self) -> None:
        from bigcell.io.remote import fetch_version, remove_object

        held, _ = fetch_version(self.url)
        if held is not None and _holder(held).get("token") == self.about["token"]:
            remove_object(self.url)


def _holder(content: bytes | None) -> dict[str, Any]:
    try:
        values = json.loads(content or b"{}")
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
