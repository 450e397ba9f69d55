"""The folder in which a run keeps what it has done so far: where it is, what state it is in, how it goes.

The state stands in three files, each of which appears and goes at once:

* ``starting.json``: a driver is emptying the folder for a new run, whose plan is not saved yet;
* ``plan.json``: there is a run to resume;
* ``tidying.json``: the run has ended, and what is left of the folder is to be removed.

The folder can be read by its owner alone: what lies in it is believed by whoever resumes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bigcell.core.errors import OutputError
from bigcell.core.paths import local_path, resolved
from bigcell.io.labels.destination import label_name
from bigcell.io.scratch import DiskScratch
from bigcell.io.stores.staged_folder import remove_tree
from bigcell.io.stores.urls import absolute, is_url

PLAN_FILE, STARTING_FILE, TIDYING_FILE = "plan.json", "starting.json", "tidying.json"
PRIVATE = 0o700


def work_folder(store: str | Path, name: str, work: str | Path | None = None) -> Path:
    """Where a run for labels `name` in `store` keeps what it has done so far: beside the store, never in it.

    Of a store in an object store, in the current folder. `work` is a folder to keep it in instead, in either case.
    """
    name = label_name(name)
    if work is None and not is_url(store):
        store = local_path(store)
        store = store if store.name not in ("", "..") else resolved(store)  # "." and ".." have a name of their own
        return store.parent / f"{store.name}.bigcell" / name
    where = absolute(store)  # another store of that name must not share the folder
    own = f"{where.rpartition('/')[2]}-{hashlib.sha256(where.encode()).hexdigest()[:8]}.bigcell"
    return resolved(local_path(work or ".")) / own / name


def only_unfinished(store: str | Path, work: str | Path | None = None) -> str:
    """The name of the only run under way for `store`, or of the only one that is not tidied up; else "cells"."""
    parent = work_folder(store, "any", work).parent
    found = [path for path in sorted(parent.glob("*")) if path.is_dir()]
    names = [path.name for path in found if is_unfinished(path)] or [path.name for path in found]
    if len(names) > 1:
        raise OutputError(f"several runs are unfinished for {store}: choose one of {', '.join(names)} with --labels")
    return names[0] if names else "cells"


def is_unfinished(work: Path) -> bool:
    """Whether there is a run to resume."""
    return _is_there(work / PLAN_FILE) and not is_ended(work)


def is_ended(work: Path) -> bool:
    """Whether a run has ended here and its folder was not removed to the end."""
    return _is_there(work / TIDYING_FILE)


def was_cut_off_at_start(work: Path) -> bool:
    """Whether a driver began a run here and did not come as far as to save its plan."""
    return not is_ended(work) and not _is_there(work / PLAN_FILE) and work.is_dir() and any(work.iterdir())


def start_over(work: Path) -> None:
    """An empty, private folder for a new run, marked as starting until `started`."""
    if work.is_symlink():
        raise OutputError(f"{work} is a link, wanted a folder of our own; remove the link, or give another --work")
    try:
        (work / PLAN_FILE).unlink(missing_ok=True)  # half a folder with a plan would be taken for a run to resume
        _make_private(work)
        DiskScratch(work).write_note(STARTING_FILE.removesuffix(".json"), {})
        _empty(work, {STARTING_FILE})
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"cannot write to {work}: {error.strerror}; make room or permission there, or give another place by --work"
        ) from error


def started(work: Path) -> None:
    """The plan is saved."""
    (work / STARTING_FILE).unlink(missing_ok=True)


def begin_tidying(work: Path, places: Sequence[str] = ()) -> None:
    """Put down that the run has ended. From here on its folder is only to be removed.

    `places`: what the run gave a name beside its labels, which is to be freed of its marks and leases as well.
    """
    if work.is_dir() and not is_ended(work):
        DiskScratch(work).write_note(TIDYING_FILE.removesuffix(".json"), {"places": list(places)})


def places_of(work: Path) -> list[str]:
    """What the run that ended in `work` gave a name, as its list says; whoever can write into the folder wrote it."""
    try:
        places = json.loads((work / TIDYING_FILE).read_bytes())["places"]
        return [str(place) for place in places]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def tidy(work: Path) -> None:
    """Remove the folder of a run that has ended, and its parent if no other run has one there. May be done again."""
    begin_tidying(work)
    if work.is_dir():
        _empty(work, {PLAN_FILE, TIDYING_FILE})
        for name in (PLAN_FILE, TIDYING_FILE):
            (work / name).unlink(missing_ok=True)
    with suppress(OSError):  # another run has a folder there, or another worker of this one writes its last word
        work.rmdir()
    with suppress(OSError):
        work.parent.rmdir()


def _empty(work: Path, keep: set[str]) -> None:
    for child in sorted(work.iterdir()):
        if child.name not in keep:
            remove_tree(child)


def _make_private(work: Path) -> None:
    work.parent.parent.mkdir(parents=True, exist_ok=True)
    for folder in (work.parent, work):
        folder.mkdir(mode=PRIVATE, exist_ok=True)
    work.chmod(PRIVATE)


def _is_there(file: Path) -> bool:
    """Whether a file of a work folder is there; OutputError where only another account can know."""
    try:
        return file.exists()
    except PermissionError as error:
        raise OutputError(
            f"{file.parent} may be looked into by its owner alone: permission denied; ask them, or choose another name"
        ) from error
