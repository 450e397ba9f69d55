"""How far a run is: a bar in a terminal or a notebook, a line now and then in a log; and what it made at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from bigcell.cli.ending import ENDING, NOTHING
from bigcell.core.errors import BlockError
from bigcell.core.format import command, duration, short
from bigcell.engine.runtime.events import Event, RunStarted, StageFinished, StageStarted, TaskDone, TaskFailed

if TYPE_CHECKING:
    from bigcell.engine.pipeline.stage_runner import Result

EVERY = 5.0  # seconds between two lines of a log
WORTH_A_LINE = 1.0  # seconds that a stage must take to be told of in a log


class Progress:
    """A listener that shows stage, tasks done, voxels per second and time left.

    >>> import io
    >>> out, clock = io.StringIO(), iter([0.0, 10.0, 20.0])
    >>> show = Progress(out, now=lambda: next(clock))
    >>> show(StageStarted("follow_flows", total=4, done=0, voxels=4_000_000))
    >>> show(TaskDone("follow_flows", "0", 1_000_000, 9.0, 0))
    >>> show(StageFinished("follow_flows", 20.0))
    >>> print(out.getvalue(), end="")
    following flows: 1 of 4, 100 k voxels/s, 30 s left
    following flows: 1 of 4 in 20 s
    """

    def __init__(self, out: TextIO | None = None, *, now: Callable[[], float] = time.monotonic) -> None:
        self.out = sys.stderr if out is None else out
        self.run: RunStarted | None = None
        self._now = now
        self._bar: Any = _bars(self.out)
        self._shown: Any = None
        self._open: dict[str, Any] = {}  # bars of stages that are done in parts, other stages between them
        self._known: dict[tuple[str, int], int] = {}
        self._stage = StageStarted("", 0, 0, 0)
        self._begun = self._last = 0.0
        self._tasks = self._voxels = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.run = event
        elif isinstance(event, StageStarted):
            self._start(event)
        elif isinstance(event, TaskDone):
            self._advance(event)
        elif isinstance(event, StageFinished):
            self._finish(event)
        elif isinstance(event, TaskFailed):
            self._say(f"failed: {event.stage} of {event.key}: {event.error}")
        else:
            self._say(event.text)

    def how_to_go_on(self, store: str | None, labels: str | None, work: str | None) -> str:
        """What is left of the run, and the command that goes on with it. What was not given the run has told."""
        run = self.run or _planned(store, labels, work)
        if run is None:
            return NOTHING
        again = command("resume", store or run.store, labels=labels or run.labels, work=work)
        return f"what is finished is kept: go on with `{again}`"

    def _start(self, event: StageStarted) -> None:
        self._stage, self._tasks, self._voxels, self._shown = event, 0, 0, None
        self._begun = self._last = self._now()
        known = self._known.get((event.stage, event.total), 0)
        self._known[event.stage, event.total] = event.done
        if self._bar is not None and event.total:
            self._show(event)
        elif known < event.done < event.total:
            self._print(f"{_label(event.stage)}: {event.done} of {event.total} were done before")

    def _show(self, event: StageStarted) -> None:
        """The bar of a stage: a new one, or the one that it has had since its first part."""
        if self._open.get(event.stage) is None:
            self._open[event.stage] = self._bar(
                total=event.total, initial=event.done, desc=_label(event.stage), file=self.out, leave=event.total > 1
            )
        self._shown = self._open[event.stage]
        self._shown.update(event.done - self._shown.n)

    def _advance(self, event: TaskDone) -> None:
        self._tasks += 1
        self._known[self._stage.stage, self._stage.total] += 1
        self._voxels += event.voxels
        now = self._now()
        seconds = max(now - self._begun, 1e-9)
        speed = f"{short(self._voxels / seconds)} voxels/s" if self._voxels else ""
        if self._shown is not None:
            self._shown.set_postfix_str(speed, refresh=False)
            self._shown.update()
        elif self._bar is None and now - self._last >= EVERY:
            self._last = now
            done = self._stage.done + self._tasks
            left = f"{duration(seconds / self._tasks * (self._stage.total - done))} left"
            parts = [f"{_label(event.stage)}: {done} of {self._stage.total}", speed, left]
            self._print(", ".join(p for p in parts if p))

    def _finish(self, event: StageFinished) -> None:
        done, total = self._stage.done + self._tasks, self._stage.total
        if self._shown is not None and done >= total:
            self._open.pop(event.stage).close()
        self._shown = None
        if self._bar is None and event.seconds >= WORTH_A_LINE:
            self._print(f"{_label(event.stage)}: {done} of {total} in {duration(event.seconds)}")

    def _say(self, text: str) -> None:
        bar = next(iter(self._open.values()), None)
        if bar is not None:
            bar.write(text, file=self.out)
        else:
            self._print(text)

    def _print(self, text: str) -> None:
        print(text, file=self.out, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for bar in self._open.values():
            bar.close()
        self._open.clear()


def _label(stage: str) -> str:
    from bigcell.engine.tasks.stages import label_of

    return label_of(stage)


def tell(result: Result) -> None:
    """What a run made, and how to look at it."""
    from bigcell.io.stores.urls import is_url

    print(f"{result.objects} objects")
    if result.path is not None:
        print(f"labels   {result.path}")
        store, _, name = str(result.path).rpartition("/labels/")
        print(f"table    {result.path}/objects.parquet")
        if (Path(result.path) / "report.html").exists():
            print(f"report   {result.path}/report.html")
        if not is_url(store):  # a view is made of local folders
            print(f"look     {command('view', store, labels=name)}")


@contextmanager
def resumable(store: str | None, labels: str | None, work: str | None) -> Iterator[Progress]:
    """Shows progress. Whatever ends it before its time says how to go on with it, in the words that were given."""
    with Progress() as show:

        def left() -> str:
            return show.how_to_go_on(store, labels, work)

        with ENDING.keeping(left):
            try:
                yield show
            except BlockError as error:
                raise BlockError(f"{error}; {left()}") from error
            except KeyboardInterrupt as error:
                raise KeyboardInterrupt(left()) from error


def _planned(store: str | None, labels: str | None, work: str | None) -> RunStarted | None:
    """The run of these words, if there is one that has not yet told of itself."""
    from bigcell.engine.runs.work_folder import PLAN_FILE, only_unfinished, work_folder

    if store is None:
        return None
    try:
        name = labels or only_unfinished(store, work)
        return RunStarted(store, name) if (work_folder(store, name, work) / PLAN_FILE).exists() else None
    except (OSError, ValueError):
        return None


def _bars(out: TextIO) -> Any:
    """tqdm's bar for a terminal or a notebook, None for a log."""
    notebook = "ipykernel" in sys.modules
    if not notebook and not out.isatty():
        return None
    if notebook:
        from tqdm.notebook import tqdm_notebook

        return tqdm_notebook
    from tqdm import tqdm

    return tqdm
