"""The journal: one line per finished task, written last, so that what has a line is done and is never done again.

Every process that does tasks has a log of its own for each stage, to which it only ever appends; reading a stage is
reading all of its logs. A line that a dying process left torn is passed over, as is one with something else
where a number belongs, and its task is done again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bigcell.core.documents import is_number
from bigcell.core.errors import PlanError

NUMBERS = ("seconds", "peak", "tries", "at", "kept", "unfit", "count")
"""What is a number wherever a line has it."""


class Log(Protocol):
    """Where lines are kept (a scratch)."""

    def append(self, name: str, line: bytes) -> None: ...
    def lines(self, name: str) -> Iterable[bytes]: ...


class Note(dict[str, Any]):
    """What a task told of itself. PlanError for what it did not tell: then the journal is not as it was written."""

    def __missing__(self, name: str) -> Any:
        raise PlanError(
            f"a line of the journal does not say {name!r}: it was changed or is damaged; start over with --overwrite"
        )


@dataclass(frozen=True)
class Finished(Mapping[str, dict[str, Any]]):
    """Results of tasks by key. They are held as the bytes that were read, which takes a fifth of what dicts take."""

    results: Mapping[str, bytes]

    def __getitem__(self, key: str) -> dict[str, Any]:
        return Note(json.loads(self.results[key]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)


@dataclass(frozen=True)
class Journal:
    """Finished tasks by stage. A line holds the task's own small result, which later stages are planned from."""

    log: Log

    def mark(self, stage: str, key: str, result: Mapping[str, Any]) -> None:
        """Note that task `key` of `stage` is done. Saying so twice is harmless; a key holds no space."""
        self.log.append(f"done/{stage}", b"%s %s" % (key.encode(), json.dumps(result, separators=(",", ":")).encode()))

    def finished(self, stage: str) -> Finished:
        """The results of the tasks of `stage` that are done, by key."""
        return Finished(dict(whole_lines(self.log.lines(f"done/{stage}"))))

    def has_begun(self, stage: str) -> bool:
        """Whether any task of `stage` is done."""
        return any(True for _ in whole_lines(self.log.lines(f"done/{stage}")))


def whole_lines(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Keys and results of the lines that were written to their end: no part of a JSON object is one itself."""
    return ((key, line) for key, line, _ in whole_notes(lines))


def whole_notes(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """As `whole_lines`, and with each line what it stands for."""
    for line in lines:
        key, _, result = line.partition(b" ")
        try:
            note, name = json.loads(result), key.decode()
        except (ValueError, RecursionError):
            continue
        if isinstance(note, dict) and all(is_number(note.get(field, 0)) for field in NUMBERS):
            yield name, result, note
