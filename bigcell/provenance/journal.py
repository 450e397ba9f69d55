"""The journal: one note per finished task, written last, so that what has a note is done and is never done again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Notes(Protocol):
    """Where notes are kept (a scratch)."""

    def write_note(self, name: str, note: Mapping[str, Any]) -> None: ...
    def notes(self, folder: str) -> Iterator[tuple[str, dict[str, Any]]]: ...


@dataclass(frozen=True)
class Journal:
    """Finished tasks by stage. A note holds the task's own small result, which later stages are planned from."""

    store: Notes

    def mark(self, stage: str, key: str, result: Mapping[str, Any]) -> None:
        """Note that task `key` of `stage` is done. Writing the same note twice is harmless."""
        self.store.write_note(f"done/{stage}/{key}", result)

    def finished(self, stage: str) -> dict[str, dict[str, Any]]:
        """The results of the tasks of `stage` that are done, by key."""
        return dict(self.store.notes(f"done/{stage}"))
