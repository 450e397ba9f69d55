"""One driver for the labels of a name: holding the leases of all that a run makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from bigcell.core.errors import OutputError
from bigcell.engine.runtime.status import is_known_dead, this_process
from bigcell.io.stores.leases import SILENCE, leased
from bigcell.io.stores.locks import HeldError
from bigcell.io.stores.urls import is_url


@contextmanager
def held_places(
    places: Iterable[str], labels: str, about: Mapping[str, Any], *, shared: bool = False
) -> Iterator[None]:
    """Hold the leases of `places`, for the sake of `labels`. OutputError that tells who holds one of them."""
    with ExitStack() as stack:
        try:
            for place in places:
                mine = {**this_process(), **about}
                stack.enter_context(leased(place, mine, is_dead=is_known_dead, shared=shared))
        except HeldError as error:
            raise OutputError(_held_text(labels, error)) from error
        yield


def _held_text(labels: str, error: HeldError) -> str:
    """Who makes these labels, and what to do."""
    here = error.holder.get("machine") == this_process()["machine"]
    who = f"process {error.holder.get('pid')} on this machine" if here else "a driver on another machine"
    heard = f", or was heard of less than {SILENCE / 60:.0f} minutes ago" if is_url(labels) and not here else ""
    return (
        f"{who} is at work on {labels}{heard}: wait for it (`bigcell status` tells how far it is), end it, or choose "
        "another name"
    )
