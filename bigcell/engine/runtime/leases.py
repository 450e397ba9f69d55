"""Who works on a run beside others, and on what: small files in its work folder, and no server between.

A worker has a file that a process of its own touches every few seconds. A claim is a file that only one worker can
create; it holds the worker's name, is never changed and never removed. Where the worker of a claim is gone, one of the
others creates the claim's next generation, and again only one can. Ages are differences of times that the file system
gave, so that no clock of one machine is held against another's.

Claims save work, they do not guard it: every task may run twice and leaves the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bigcell.core.documents import parse_object
from bigcell.core.errors import PlanError, SettingsError
from bigcell.core.processes.interrupts import shielded
from bigcell.engine.runtime.status import is_alive, this_process
from bigcell.io.atomic import replace_file

FOLDER = "array"
"""The part of a work folder that holds all this."""
BEAT = 10.0
"""Seconds between two touches."""
LEASE = 120.0
"""Seconds of silence after which a worker counts as dead. Twice what NFS clients believe in old attributes."""
SECONDS_BETWEEN_LOOKS = 1.0
"""Seconds for which what is known of another worker is believed."""

# A process of its own, for the numerical code holds Python's lock for longer than a beat. It ends when its standard
# input does, with the worker, or when it finds that it was suspended for so long that others have taken over.
_BEATER = """
import os, select, sys, time
path, beat, lease = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
last = time.monotonic()
while not select.select([0], [], [], beat)[0]:
    now = time.monotonic()
    if now - last > lease:
        sys.exit(1)
    last = now
    try:
        os.utime(path)
    except FileNotFoundError:
        sys.exit(0)
    except OSError:
        pass
"""


@dataclass(frozen=True)
class Share:
    """Worker `index` of `of`, counted from 0."""

    index: int
    of: int

    def __post_init__(self) -> None:
        if self.of < 1:
            raise SettingsError(f"--of {self.of}: wanted the number of workers, at least 1")
        if not 0 <= self.index < self.of:
            raise SettingsError(
                f"--index {self.index} of {self.of}: wanted 0 to {self.of - 1}; in SLURM, --array=0-{self.of - 1} "
                "and --index $SLURM_ARRAY_TASK_ID"
            )

    def ordered(self, pieces: Iterable[int]) -> list[int]:
        """`pieces`, this worker's own first, then those of the one after it, and so on round.

        >>> Share(1, 3).ordered(range(7))
        [1, 4, 2, 5, 0, 3, 6]
        """
        return sorted(pieces, key=lambda k: ((k - self.index) % self.of, k))


@dataclass(frozen=True)
class Member:
    """A worker as its file tells. `silent`: seconds since it was heard of."""

    name: str
    index: int
    of: int
    process: dict[str, Any]
    ended: bool
    silent: float

    @property
    def alive(self) -> bool:
        """Whether it still works, as far as can be known from here.

        A file touched in the future is one of before the clock was set back: a worker at work has touched it since.
        """
        return not self.ended and abs(self.silent) <= LEASE and is_alive(self.process)


def members(work: Path) -> list[Member]:
    """All workers that ever joined the run in the folder `work`, in order of index."""
    folder = work / FOLDER / "workers"
    names = sorted(path.stem for path in folder.glob("*.json"))
    if not names:
        return []
    now = _probe(folder)
    found = (_read(folder, name, now) for name in names)
    return sorted((m for m in found if m is not None), key=lambda m: (m.index, m.name))


def refuse_beside_workers(work: Path, what: str) -> None:
    """PlanError if workers of an array are at work on the run in `work`; `what` cannot be done beside them."""
    alive = [m for m in members(work) if m.alive]
    if alive:
        raise PlanError(
            f"{len(alive)} of {alive[0].of} workers of an array are at work on this run (or were heard of less than "
            f"{LEASE:.0f} s ago), so {what}: wait for them (`bigcell status`), add one with `bigcell worker`, or end "
            "them first"
        )


@dataclass
class Membership:
    """This process as one of the workers of a run, from `join` to `leave`."""

    work: Path
    share: Share
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:16])
    _beater: subprocess.Popen[bytes] | None = None
    _clock: tuple[float, float] | None = None
    _known: dict[str, tuple[float, bool]] = field(default_factory=dict)

    @classmethod
    def join(cls, work: Path, share: Share) -> Membership:
        """Join the run in `work`. SettingsError where its workers at work are another number of workers."""
        new = cls(work, share)
        (work / FOLDER / "workers").mkdir(parents=True, exist_ok=True)
        (work / FOLDER / "claims").mkdir(exist_ok=True)
        others = {m.of for m in members(work) if m.alive} - {share.of}
        if others:
            raise SettingsError(
                f"--of {share.of}: workers that say --of {others.pop()} are at work on this run; say the same number, "
                "or end them first"
            )
        new._write(ended=False)
        with shielded():
            new._beater = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BEATER, str(new._path), str(BEAT), str(LEASE)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        return new

    def leave(self) -> None:
        """Say that this worker ends: what it had claimed is anyone's at once."""
        if self._beater is not None:
            assert self._beater.stdin is not None
            self._beater.stdin.close()
            self._beater.wait()
            self._beater = None
        if self.is_in:
            self._write(ended=True)

    @property
    def is_in(self) -> bool:
        """Whether the run is still there: it ends, and is started over, with all files of its workers."""
        return self._path.exists()

    def check(self) -> None:
        """PlanError where the run has gone, or this worker is dead to the others."""
        if not self.is_in:
            raise PlanError(
                f"the run at {self.work} is no longer there: it was finished, given up or started over meanwhile"
            )
        if self._beater is not None and self._beater.poll() is not None:
            raise PlanError(
                f"this worker was silent for more than {LEASE:.0f} s (was it suspended?), so others do its work; start "
                "it again to have it join them"
            )

    def now(self) -> float:
        """The time by the clock of the file system, in seconds."""
        if self._clock is None or time.monotonic() - self._clock[1] > BEAT:
            os.utime(self._path)
            self._clock = self._path.stat().st_mtime, time.monotonic()
        return self._clock[0] + time.monotonic() - self._clock[1]

    def knows_alive(self, name: str) -> bool:
        """Whether the worker `name` still works."""
        looked, alive = self._known.get(name, (float("-inf"), False))
        if time.monotonic() - looked > SECONDS_BETWEEN_LOOKS:
            found = _read(self._path.parent, name, self.now())
            alive = found is not None and found.alive
            self._known[name] = time.monotonic(), alive
        return alive

    @property
    def _path(self) -> Path:
        return self.work / FOLDER / "workers" / f"{self.name}.json"

    def _write(self, *, ended: bool) -> None:
        about = {"index": self.share.index, "of": self.share.of, "process": this_process(), "ended": ended}
        replace_file(self._path, json.dumps(about).encode())


@dataclass
class Claims:
    """The claims of one stage, made by `me`."""

    me: Membership
    stage: str
    _seen: dict[str, tuple[int, str]] = field(default_factory=dict)

    def take(self, name: str) -> bool:
        """Whether `name` is for this worker to do: nobody had claimed it, who had is gone, or it was this one."""
        for generation in self._generations(name):
            path = self.me.work / FOLDER / "claims" / self.stage / f"{name}.{generation}"
            if self._create(path):
                self._seen[name] = generation, self.me.name
                return True
            owner, age = self._owner(path)
            if owner == self.me.name:
                self._seen[name] = generation, owner
                return True
            if self.me.knows_alive(owner) if owner else abs(age) <= LEASE:
                self._seen[name] = generation, owner
                return False
        return False

    def is_inherited(self, name: str) -> bool:
        """Whether another worker had claimed it before this one."""
        return self._seen[name][0] > 0

    def _generations(self, name: str) -> Iterator[int]:
        """From the last one that is known; none if its worker is known to work."""
        generation, owner = self._seen.get(name, (0, ""))
        if owner and owner != self.me.name and self.me.knows_alive(owner):
            return
        while True:
            yield generation
            generation += 1

    def _create(self, path: Path) -> bool:
        """Create a file that is not there: the one thing that every file system lets only one do."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            file = os.open(path, flags, 0o666)
        except FileExistsError:
            return False
        except FileNotFoundError:
            path.parent.mkdir(exist_ok=True)  # not its parents: they go with the run
            return self._create(path)
        try:
            os.write(file, self.me.name.encode())
        finally:
            os.close(file)
        return True

    def _owner(self, path: Path) -> tuple[str, float]:
        """Who claimed it, "" while the name is being written; and how long ago."""
        with path.open("rb") as file:
            return file.read(64).decode(), self.me.now() - os.fstat(file.fileno()).st_mtime


def _read(folder: Path, name: str, now: float) -> Member | None:
    """A worker by its file, which is opened first: NFS then asks the server. None where there is none."""
    try:
        with (folder / f"{name}.json").open("rb") as file:
            silent = now - os.fstat(file.fileno()).st_mtime
            values = parse_object(file.read(), name)
        return Member(
            name, int(values["index"]), int(values["of"]), dict(values["process"]), bool(values["ended"]), silent
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _probe(folder: Path) -> float:
    """The time by the clock of the file system; by this machine's where nothing may be written."""
    probe = folder / f".{uuid.uuid4().hex}"
    try:
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
        return now
    except OSError:
        return time.time()
