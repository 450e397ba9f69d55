"""Runs that several workers share through the store alone: the labels of one process, whoever ends when."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

import bigcell
from bigcell import api
from bigcell.core.box import Box
from bigcell.core.errors import BlockError, OutputError, PlanError, SettingsError
from bigcell.engine.pipeline import failures
from bigcell.engine.runs.find_run import find_run, read_status
from bigcell.engine.runtime import leases
from bigcell.engine.runtime.events import Event, Notice, TaskDone, TaskFailed
from bigcell.engine.runtime.leases import members
from bigcell.engine.tasks.stages import STAGES
from bigcell.io.scratch import DiskScratch
from bigcell.provenance.journal import Journal
from bigcell.testing.files import files_of
from bigcell.testing.flows import FlowLattice

BLOCK = (18, 30, 23)  # 12 blocks
# Notes every task that this process itself does, once it is in the journal.
WORKER = """
import sys
from bigcell.testing.disturbed import note_tasks
note_tasks(sys.argv.pop(1))
from bigcell.cli import main
main()
"""


def begin(out: Path, index: int, of: int = 3, pause: float = 0.0) -> subprocess.Popen[str]:
    """`bigcell worker` in a process of its own. What it does itself is noted in `done` beside `out`."""
    words = ["worker", str(out), "--index", str(index), "--of", str(of)]
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(out.with_name(f"done{index}")), *words],
        env={**os.environ, "BIGCELL_TASK_PAUSE": str(pause), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def told(out: Path) -> list[str]:
    """Every task that was done, as often as it was, by workers in processes."""
    return [line for log in sorted(out.parent.glob("done*")) for line in log.read_text().splitlines()]


def until(true: Callable[[], bool]) -> None:
    last = time.monotonic() + 90
    while not true():
        assert time.monotonic() < last, "nothing moves"
        time.sleep(0.02)


def work_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.bigcell") / "cells"


def in_journal(out: Path) -> set[str]:
    found = set()
    for scratch in work_of(out).glob("scratch/*"):
        for stage in STAGES:
            found |= {f"{stage} {key}" for key in Journal(DiskScratch(scratch)).finished(stage)}
    return found


_PLAIN: dict[str, bytes] = {}


@pytest.fixture
def plain(flow_store: Path, tmp_path: Path) -> dict[str, bytes]:
    """What one process makes of the flows."""
    if not _PLAIN:
        result = bigcell.segment(flows=flow_store, output=tmp_path / "plain.zarr", block=BLOCK, cluster="serial")
        _PLAIN.update(files_of(Path(str(result.path))))
    return _PLAIN


@pytest.fixture
def out(flow_store: Path, tmp_path: Path) -> Path:
    """Where the labels of a run go that is planned, and that nobody has begun."""
    plan = api.save_plan(flows=flow_store, output=tmp_path / "out.zarr", block=BLOCK)
    assert plan == work_of(tmp_path / "out.zarr") / "plan.json"
    return tmp_path / "out.zarr"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that look at one another every moment."""
    monkeypatch.setattr(leases, "SECONDS_BETWEEN_LOOKS", 0.0)
    monkeypatch.setattr("bigcell.cluster.array.LATE", 0.1)
    monkeypatch.setattr(failures, "WAIT", 0.0)


class Together:
    """Workers in threads of this process: what each returns or raises, and what it tells."""

    def __init__(self, out: Path, of: int, **options: Any) -> None:
        self.ends: dict[int, Any] = {}
        self.events: dict[int, list[Event]] = {i: [] for i in range(of)}
        self._threads = [Thread(target=self._work, args=(out, i, of), kwargs=options) for i in range(of)]
        for thread in self._threads:
            thread.start()

    def _work(self, out: Path, index: int, of: int, **options: Any) -> None:
        try:
            self.ends[index] = api.worker(out, index=index, of=of, listener=self.events[index].append, **options)
        except Exception as error:
            self.ends[index] = error

    def join(self) -> list[Any]:
        for thread in self._threads:
            thread.join(120)
        return [self.ends[i] for i in sorted(self.ends)]


def test_three_processes_do_each_task_once(out: Path, plain: dict[str, bytes]) -> None:
    everyone = [begin(out, i, pause=0.05) for i in range(3)]
    until(lambda: bool(members(work_of(out))))
    assert read_status(out).state == "running"
    for code, said in map(end, everyone):
        assert code == 0, said
        assert f"labels   {out}/labels/cells" in said
    assert files_of(out / "labels" / "cells") == plain
    done = Counter(told(out))
    assert len(done) > 60
    assert set(done.values()) == {1}
    shares = [len((out.parent / f"done{i}").read_text().splitlines()) for i in range(3)]
    assert min(shares) >= 5, "a worker had next to nothing to do"
    assert not work_of(out).parent.exists()
    code, said = end(begin(out, 2))  # one that waited in the queue all the time
    assert code == 0, said
    assert "there is no unfinished run" in said


def test_the_others_go_on_with_what_a_killed_one_left(out: Path, plain: dict[str, bytes]) -> None:
    everyone = [begin(out, i, pause=0.05) for i in range(2)]
    until(lambda: (out.parent / "done1").exists())
    everyone[1].send_signal(signal.SIGKILL)
    assert end(everyone[1])[0] == -signal.SIGKILL
    code, said = end(everyone[0])
    assert code == 0, said
    assert files_of(out / "labels" / "cells") == plain
    assert max(Counter(told(out)).values()) == 1, "what the dead one had finished is not done again"


def test_all_are_killed_and_resume_does_the_rest(out: Path, plain: dict[str, bytes]) -> None:
    everyone = [begin(out, i, of=2, pause=0.3) for i in range(2)]
    until(lambda: len(in_journal(out)) >= 4)
    with pytest.raises(PlanError, match="2 of 2 workers of an array are at work on this run"):
        bigcell.resume(out, cluster="serial")
    with pytest.raises(PlanError, match="it cannot be started over"):
        api.save_plan(flows=out.parent / "flows.zarr", output=out, overwrite=True)
    shown = read_status(out)
    assert (shown.state, shown.workers) == ("running", {"of": 2, "alive": 2, "ended": 0, "lost": 0})
    for process in everyone:
        process.send_signal(signal.SIGKILL)
        end(process)
    assert read_status(out).workers == {"of": 2, "alive": 0, "ended": 0, "lost": 2}
    assert read_status(out).state == "stopped"
    before, seen = in_journal(out), list[Event]()
    bigcell.resume(out, cluster="serial", listener=seen.append)
    assert not before & {f"{event.stage} {event.key}" for event in seen if isinstance(event, TaskDone)}
    assert files_of(out / "labels" / "cells") == plain
    assert not work_of(out).parent.exists()


def test_a_queue_that_ends_a_worker_sets_its_tasks_free(out: Path, plain: dict[str, bytes]) -> None:
    process = begin(out, 0, of=1, pause=0.3)
    until(lambda: len(in_journal(out)) >= 2)
    process.terminate()
    assert end(process)[0] == 128 + signal.SIGTERM
    assert read_status(out).workers == {"of": 1, "alive": 0, "ended": 1, "lost": 0}
    before, seen = in_journal(out), list[Event]()
    result = api.worker(out, index=3, of=4, workers=2, listener=seen.append)  # of another number: nobody is left
    assert not before & {f"{event.stage} {event.key}" for event in seen if isinstance(event, TaskDone)}
    assert files_of(Path(str(result.path))) == plain


@pytest.mark.usefixtures("at_once")
def test_an_image_whose_flows_are_kept_is_shared_too(tmp_path: Path, store: Callable[..., Path]) -> None:
    from bigcell.synthetic import sample_volume

    image = store(tmp_path / "image.zarr", sample_volume((4, 28, 32), diameter=14, seed=3).image)
    options: Any = {"diameter": 14, "tile": 32, "block": (4, 14, 16)}
    one = bigcell.segment(image, labels="one", keep_flows=tmp_path / "one.zarr", cluster="serial", **options)
    api.save_plan(image, labels="many", keep_flows=tmp_path / "many.zarr", **options)
    results = Together(image, 2, labels="many").join()
    assert [r.objects for r in results] == [one.objects] * 2
    assert files_of(image / "labels" / "many") == files_of(image / "labels" / "one")
    assert files_of(tmp_path / "many.zarr") == files_of(tmp_path / "one.zarr")


@pytest.mark.usefixtures("at_once")
def test_a_poison_block_is_set_aside_by_all(
    out: Path, plain: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    step, tries = STAGES["follow_flows"].run, list[Any]()

    def failing(job: Any, item: Any) -> dict[str, Any]:
        if item[0] == 3:
            tries.append(item)
            until(lambda: all(together.events.values()))  # one that came later would try again
            raise KeyError("poison")
        return step(job, item)

    with monkeypatch.context() as poisoned:
        poisoned.setitem(STAGES, "follow_flows", STAGES["follow_flows"].running(failing))
        together = Together(out, 3)
        ends = together.join()
        assert len(tries) == failures.TRIES, "set aside once, for all"
        for error in ends:
            assert isinstance(error, BlockError), error
            assert "1 of 12 tasks failed 3 times, the others are done; follow_flows of 3" in str(error)
        for events in together.events.values():
            assert [e.key for e in events if isinstance(e, TaskFailed)] == ["3"]
            assert {int(e.key) for e in events if isinstance(e, TaskDone)} <= {*range(12)} - {3}
        heard = {int(e.key) for events in together.events.values() for e in events if isinstance(e, TaskDone)}
        assert heard == {*range(12)} - {3}, "a worker that came a little later found some of them done"
        with pytest.raises(BlockError, match="follow_flows of 3"):
            api.worker(out, index=0, of=3)
        assert len(tries) == 2 * failures.TRIES, "one that comes later tries again"
    seen = list[Event]()
    result = api.worker(out, index=0, of=1, listener=seen.append)
    assert [e.key for e in seen if isinstance(e, TaskDone) and e.stage == "follow_flows"] == ["3"]
    assert files_of(Path(str(result.path))) == plain


@pytest.mark.usefixtures("at_once")
def test_a_full_disk_ends_a_worker_with_the_words_of_segment(
    out: Path, plain: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(job: Any, item: Any) -> dict[str, Any]:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setitem(STAGES, "label_blocks", STAGES["label_blocks"].running(full))
        for error in Together(out, 2).join():
            assert isinstance(error, OutputError)
            assert "No space left on device" in str(error)
            assert "make room" in str(error)
    assert [m.ended for m in members(work_of(out))] == [True, True]
    Together(out, 2).join()
    assert files_of(out / "labels" / "cells") == plain


@pytest.mark.usefixtures("at_once")
def test_a_device_that_fails_is_its_workers_end_and_not_its_tasks(
    out: Path, plain: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sick(job: Any, item: Any) -> dict[str, Any]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with monkeypatch.context() as patched:
        patched.setitem(STAGES, "follow_flows", STAGES["follow_flows"].running(sick))
        with pytest.raises(BlockError, match="the device of this worker failed"):
            api.worker(out, index=0, of=2)
    result = api.worker(out, index=1, of=2)
    assert files_of(Path(str(result.path))) == plain


@pytest.mark.usefixtures("at_once")
def test_bad_input_is_told_by_all_and_the_run_stays(
    tmp_path: Path, store: Callable[..., Path], lattice: FlowLattice
) -> None:
    flows = np.array(lattice.read(Box.of(lattice.extent)))
    flows[1, 30, 50, 60] = np.nan
    bad = store(tmp_path / "bad.zarr", flows)
    api.save_plan(flows=bad, block=BLOCK)
    for error in Together(bad, 2).join():
        assert "not finite" in str(error)
    assert (work_of(bad) / "plan.json").exists()


@pytest.mark.usefixtures("at_once")
def test_one_that_is_cut_off_while_it_publishes(
    out: Path, plain: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyError("killed")

    with monkeypatch.context() as patched:
        patched.setattr("bigcell.engine.runs.run_folder.publish", killed)
        with pytest.raises(KeyError, match="killed"):
            api.worker(out, index=0, of=2)
    assert read_status(out).workers["ended"] > 0
    Together(out, 2).join()
    assert files_of(out / "labels" / "cells") == plain
    assert not work_of(out).parent.exists()


@pytest.mark.usefixtures("at_once")
def test_a_run_that_ends_while_a_worker_comes_is_not_begun_again(
    out: Path, plain: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    join = leases.Membership.join

    def late(work: Path, share: leases.Share) -> leases.Membership:
        monkeypatch.setattr(leases.Membership, "join", join)
        api.worker(out, index=1, of=2)
        return join(work, share)

    monkeypatch.setattr(leases.Membership, "join", late)
    seen = list[Event]()
    result = api.worker(out, index=0, of=2, listener=seen.append)
    assert seen == []
    assert files_of(Path(str(result.path))) == plain
    assert not work_of(out).parent.exists()


def test_a_run_is_found_by_its_store_its_folder_and_its_plan(out: Path, tmp_path: Path, flow_store: Path) -> None:
    folder = work_of(out)
    for place in (folder, folder / "plan.json"):
        assert find_run(place, None, None) == (str(out), "cells", None)
    assert find_run(out, None, None) == (out, "cells", None)
    assert find_run("s3://bucket/out.zarr", "cells", tmp_path) == ("s3://bucket/out.zarr", "cells", tmp_path)
    plan = api.save_plan(flows=flow_store, labels="else", work=tmp_path / "scratch")
    assert find_run(plan, None, None) == (str(flow_store), "else", tmp_path / "scratch")
    (tmp_path / "moved.bigcell").mkdir()
    moved = folder.rename(tmp_path / "moved.bigcell" / "cells")
    with pytest.raises(OutputError, match="move it back"):
        find_run(moved, None, None)


def test_a_plan_whose_run_is_finished_is_found_too(flow_store: Path) -> None:
    plan = api.save_plan(flows=flow_store)
    result = api.worker(plan, index=0, of=1)
    seen = list[Event]()
    assert api.worker(plan, index=0, of=2, listener=seen.append).objects == result.objects
    assert [e.text for e in seen if isinstance(e, Notice)] == [
        "there is no unfinished run for labels 'cells': those that are there were finished before"
    ]


def test_what_a_worker_refuses(out: Path, tmp_path: Path, flow_store: Path, lattice: FlowLattice) -> None:
    with pytest.raises(SettingsError, match="--index 10 of 10: wanted 0 to 9; in SLURM, --array=0-9"):
        api.worker(out, index=10, of=10)
    with pytest.raises(OutputError, match="no unfinished run"):
        api.worker(tmp_path / "nothing.zarr", index=0, of=1)
    with pytest.raises(SettingsError, match="an array in memory cannot be reached"):
        api.save_plan(flows=lattice.read(Box.of(lattice.extent)), output=tmp_path / "array.zarr")
    with pytest.raises(OutputError, match="an unfinished run is at"):
        api.save_plan(flows=flow_store, output=out)
    flow_store.rename(tmp_path / "elsewhere.zarr")
    with pytest.raises(Exception, match=r"flows\.zarr"):
        api.worker(out, index=0, of=1)
    assert members(work_of(out)) == []


def test_a_driver_that_works_alone_is_not_joined(flow_store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    code = "import bigcell, sys; bigcell.segment(flows=sys.argv[1], output=sys.argv[2], cluster='serial')"
    driver = subprocess.Popen(
        [sys.executable, "-c", code, str(flow_store), str(out)], env={**os.environ, "BIGCELL_TASK_PAUSE": "5"}
    )
    try:
        until(lambda: (work_of(out) / "status.json").exists())
        with pytest.raises(OutputError, match=f"process {driver.pid} on this machine is at work on"):
            api.worker(out, index=0, of=1)
    finally:
        driver.kill()
        driver.wait()
    assert api.worker(out, index=0, of=1).objects > 50, "once it is dead, its run can be shared"
