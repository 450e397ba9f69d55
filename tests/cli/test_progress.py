"""Progress: lines now and then in a log, a bar in a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import count

from bigcell.cli.progress import Progress
from bigcell.engine.runtime.events import Notice, StageFinished, StageStarted, TaskDone


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ticking(step: float) -> Iterator[float]:
    return (i * step for i in count())


def run_stage(show: Progress, tasks: int, done: int = 0, voxels: int = 1000) -> None:
    show(StageStarted("follow_flows", tasks, done, tasks * voxels))
    for key in range(done, tasks):
        show(TaskDone("follow_flows", str(key), voxels, 1.0, 0))
    show(StageFinished("follow_flows", 12.0))


def test_a_log_gets_a_line_every_few_seconds() -> None:
    out, clock = io.StringIO(), ticking(1.0)
    run_stage(Progress(out, now=lambda: next(clock)), tasks=12)
    assert out.getvalue().splitlines() == [
        "following flows: 5 of 12, 1 k voxels/s, 7 s left",
        "following flows: 10 of 12, 1 k voxels/s, 2 s left",
        "following flows: 12 of 12 in 12 s",
    ]


def test_what_was_done_before_does_not_make_it_look_fast() -> None:
    out, clock = io.StringIO(), ticking(5.0)
    run_stage(Progress(out, now=lambda: next(clock)), tasks=10, done=8)
    assert out.getvalue().splitlines()[:2] == [
        "following flows: 8 of 10 were done before",
        "following flows: 9 of 10, 200 voxels/s, 5 s left",
    ]


def test_short_stages_are_not_worth_a_line() -> None:
    out = io.StringIO()
    show = Progress(out)
    show(StageStarted("assign_ids", 1, 0, 0))
    show(TaskDone("assign_ids", "0", 0, 0.01, 0))
    show(StageFinished("assign_ids", 0.01))
    assert out.getvalue() == ""


def test_notices_are_told() -> None:
    out = io.StringIO()
    Progress(out)(Notice("channel 1 is constant"))
    assert out.getvalue() == "channel 1 is constant\n"


def test_a_terminal_gets_a_bar() -> None:
    out = Terminal()
    with Progress(out) as show:
        show(StageStarted("write_labels", 2, 0, 2000))
        show(TaskDone("write_labels", "0", 1000, 1.0, 0))
        show(Notice("a word on the way"))
        show(TaskDone("write_labels", "1", 1000, 1.0, 0))
        show(StageFinished("write_labels", 1.0))
    text = out.getvalue()
    assert "writing labels: 100%" in text
    assert "2/2" in text
    assert "a word on the way\n" in text
    assert "voxels/s" in text


def run_in_parts(show: Progress) -> None:
    """Two stages of four tasks, two tasks of each by turns."""
    for done in (0, 2):
        for stage in ("follow_flows", "label_blocks"):
            show(StageStarted(stage, 4, done, 4000))
            for key in range(done, done + 2):
                show(TaskDone(stage, str(key), 1000, 1.0, 0))
            show(StageFinished(stage, 12.0))


def test_parts_of_a_stage_go_on_where_it_was() -> None:
    out, clock = io.StringIO(), ticking(3.0)
    run_in_parts(Progress(out, now=lambda: next(clock)))
    assert [line for line in out.getvalue().splitlines() if "left" not in line] == [
        "following flows: 2 of 4 in 12 s",
        "naming cells: 2 of 4 in 12 s",
        "following flows: 4 of 4 in 12 s",
        "naming cells: 4 of 4 in 12 s",
    ]


def test_parts_of_a_stage_share_a_bar() -> None:
    made: list[str] = []
    out = Terminal()
    with Progress(out) as show:
        bar = show._bar
        show._bar = lambda **about: made.append(about["desc"]) or bar(**about)
        run_in_parts(show)
    assert made == ["following flows", "naming cells"]
    assert "naming cells: 100%" in out.getvalue()
    assert "4/4" in out.getvalue()


def test_a_bar_of_a_stage_that_was_cut_off_is_closed() -> None:
    out = Terminal()
    with Progress(out) as show:
        show(StageStarted("follow_flows", 4, 0, 4000))
        show(TaskDone("follow_flows", "0", 1000, 1.0, 0))
    assert show._open == {}
    assert "1/4" in out.getvalue()
