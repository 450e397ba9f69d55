"""Tasks that fail: tried again, set aside, listed; the others go on, and resume does only what is left."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import bigcell
from bigcell.cluster.choose import choose_executor
from bigcell.core.box import Box
from bigcell.core.errors import BlockError, ChunkError, InputError, ModelError, OutputError
from bigcell.core.volume import ArrayVolume
from bigcell.engine.pipeline import failures
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.request import Request
from bigcell.engine.runs.find_run import read_status
from bigcell.engine.runtime.events import Event, Notice, StageStarted, TaskDone, TaskFailed
from bigcell.engine.runtime.executors import ProcessExecutor, WorkersLostError
from bigcell.engine.tasks.job import Job
from bigcell.engine.tasks.stages import STAGES
from bigcell.io.ngff.image import open_image
from bigcell.io.scratch import MemoryScratch
from bigcell.testing.files import files_of
from bigcell.testing.flows import FlowLattice

BLOCK = (18, 30, 34)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between tries."""
    monkeypatch.setattr(failures, "WAIT", 0.0)
    monkeypatch.setattr("bigcell.io.ngff.unreadable_chunks.WAIT", 0.0)


def fail_in(monkeypatch: pytest.MonkeyPatch, stage: str, errors: Iterator[Exception | None], block: int = 3) -> None:
    """The step of `stage` raises, for one block, what comes next of `errors`."""
    step = STAGES[stage].run

    def failing(job: Any, item: Any) -> dict[str, Any]:
        error = next(errors, None) if item[0] == block else None
        if error is not None:
            raise error
        return step(job, item)

    monkeypatch.setitem(STAGES, stage, STAGES[stage].running(failing))


def test_a_task_that_fails_twice_is_done(
    monkeypatch: pytest.MonkeyPatch, flow_store: Path, lattice: FlowLattice
) -> None:
    fail_in(monkeypatch, "follow_flows", iter([OSError(errno.EIO, "lost"), KeyError(3)]))
    result = bigcell.segment(flows=flow_store, block=BLOCK, cluster="serial")
    assert result.objects == bigcell.segment(flows=lattice.read(Box.of(lattice.extent))).objects


def test_a_poison_block_is_set_aside_and_resume_does_it_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path
) -> None:
    plain = bigcell.segment(flows=flow_store, output=tmp_path / "plain.zarr", block=BLOCK, cluster="serial")
    out, seen = tmp_path / "out.zarr", list[Event]()
    with monkeypatch.context() as poisoned:
        fail_in(poisoned, "follow_flows", iter([KeyError("poison")] * 99))
        with pytest.raises(
            BlockError, match=r"1 of 8 tasks failed.*follow_flows of 3 \(0:18, 30:60, 34:68\): KeyError"
        ):
            bigcell.segment(flows=flow_store, output=out, block=BLOCK, cluster="serial", listener=seen.append)
    failed = [event for event in seen if isinstance(event, TaskFailed)]
    assert [(event.stage, event.key, event.box) for event in failed] == [
        ("follow_flows", "3", ((0, 30, 34), (18, 60, 68)))
    ]
    assert sum(isinstance(event, TaskDone) for event in seen) == 7  # all others were done, and none of a later stage
    again = list[Event]()
    resumed = bigcell.resume(out, cluster="serial", listener=again.append)
    assert [event.key for event in again if isinstance(event, TaskDone) and event.stage == "follow_flows"] == ["3"]
    assert files_of(resumed.path) == files_of(plain.path)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (InputError("NaN"), InputError),
        (ModelError("other weights"), ModelError),
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
    ],
)
def test_what_cannot_succeed_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path, error: Exception, raised: type[Exception]
) -> None:
    errors = iter([error] * 9)
    fail_in(monkeypatch, "follow_flows", errors)
    with pytest.raises(raised, match=str(error.args[-1])):
        bigcell.segment(flows=flow_store, output=tmp_path / "out.zarr", block=BLOCK, cluster="serial")
    assert len(list(errors)) == 8
    kept = (tmp_path / "out.zarr.bigcell" / "cells" / "plan.json").exists()
    assert kept == (raised is not InputError)


def test_a_run_that_fails_everywhere_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path
) -> None:
    monkeypatch.setattr(failures, "MAX_TASKS_SET_ASIDE", 2)
    step = iter([KeyError("bug")] * 999)
    monkeypatch.setitem(
        STAGES, "follow_flows", STAGES["follow_flows"].running(lambda job, item: (_ for _ in ()).throw(next(step)))
    )
    with pytest.raises(BlockError, match="the run is given up"):
        bigcell.segment(flows=flow_store, output=tmp_path / "out.zarr", block=BLOCK, cluster="serial")
    assert len(list(step)) == 999 - 2 * failures.TRIES


def test_stores_are_given_time(monkeypatch: pytest.MonkeyPatch, flow_store: Path) -> None:
    waits: list[float] = []
    monkeypatch.setattr(failures, "WAIT", 0.5)
    monkeypatch.setattr("bigcell.engine.pipeline.failures.time.sleep", waits.append)
    fail_in(monkeypatch, "follow_flows", iter([OSError(errno.EIO, "lost"), ConnectionError("away")]))
    bigcell.segment(flows=flow_store, block=BLOCK, cluster="serial")
    assert waits == [0.5, 1.0]


def deadly(n: int) -> int:
    if n == 5:
        os._exit(1)
    return n


@pytest.mark.parametrize("kind", ["processes", "local"])
def test_the_others_of_a_dead_worker_are_done(kind: str) -> None:
    """What it had in hand is told of at the end; the executor can be used again."""
    with closing(choose_executor(kind, 2)) as executor:
        found: list[int] = []
        with pytest.raises(WorkersLostError) as lost:
            found.extend(executor.map(deadly, range(12)))  # extend keeps what came before the error
        assert 5 in lost.value.items
        assert sorted({*found, *lost.value.items}) == list(range(12))
        assert sorted(executor.map(deadly, [1, 2])) == [1, 2]


def test_workers_of_a_killed_driver_end(tmp_path: Path) -> None:
    """At once: they would go on writing into what another driver has taken up."""
    code = (
        "import sys, time; from bigcell.engine.runtime.executors import ProcessExecutor\n"
        "if __name__ == '__main__':\n"
        "    next(ProcessExecutor(1).map(time.sleep, [0, 60]))\n"
        "    print('up', flush=True)\n"
        "    time.sleep(60)\n"
    )
    script = tmp_path / "driver.py"
    script.write_text(code)
    driver = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    assert driver.stdout is not None
    assert driver.stdout.readline() == b"up\n"
    children = psutil.Process(driver.pid).children(recursive=True)
    workers = [c for c in children if "spawn_main" in " ".join(c.cmdline())]
    assert len(workers) == 1
    driver.kill()
    driver.wait()
    driver.stdout.close()
    assert psutil.wait_procs(workers, timeout=120)[1] == []


def always_deadly(n: int) -> int:
    os._exit(1)


def test_workers_that_always_die_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items that nobody has begun are not taken for lost ones, which are done again, or for done ones."""
    monkeypatch.setattr("bigcell.engine.runtime.executors.MOST_DEATHS", 1)
    with closing(ProcessExecutor(1)) as executor, pytest.raises(BlockError, match="2 workers were killed") as error:
        list(executor.map(always_deadly, range(100)))
    assert not isinstance(error.value, WorkersLostError)


def sick(n: int) -> int:
    """A worker whose device has failed: whatever it does there fails."""
    if n != 1:
        return n
    job = Job(make_plan(Request(), None, ArrayVolume(np.zeros((4, 8, 8, 8), np.float32))), None, None, MemoryScratch())

    def failing(job: Any, item: Any) -> dict[str, Any]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    STAGES["follow_flows"] = STAGES["follow_flows"].running(failing)
    return failures.attempt(job, "follow_flows", (n, (0,)))[0]


def test_a_worker_whose_device_failed_ends() -> None:
    """Another one takes its place."""
    with closing(ProcessExecutor(1)) as executor:
        with pytest.raises(WorkersLostError) as lost:
            list(executor.map(sick, [1]))
        assert lost.value.items == (1,)
        assert list(executor.map(sick, [2])) == [2]


class Deadly:
    """An executor whose worker dies of one item, and takes another one with it once."""

    workers = 1

    def __init__(self, poison: int) -> None:
        self.poison, self.runs = poison, list[int]()

    def begin(self, stage: str) -> None:
        """Nothing to prepare."""

    def map(self, function: Any, items: Any) -> Iterator[Any]:
        lost = []
        for item in items:
            self.runs.append(item[0])
            if item[0] == self.poison:
                lost.append(item)
            else:
                yield function(item)
        if lost:
            raise WorkersLostError(lost)

    def close(self) -> None:
        """Nothing to give back."""


def test_a_task_that_kills_its_workers_is_set_aside(tmp_path: Path, flow_store: Path) -> None:
    given = open_image(flow_store)
    job = Job(make_plan(Request(block=BLOCK), None, given), None, given, MemoryScratch())
    executor = Deadly(poison=2)
    notes = dict(failures.map_with_recovery(executor, job, "follow_flows", [(k, (k,)) for k in range(4)]))
    assert sorted(notes) == [0, 1, 2, 3]
    assert notes[2]["failed"]["box"] == ((0, 30, 0), (18, 60, 34))
    assert "killed" in notes[2]["failed"]["error"]
    assert all("reach" in notes[k] for k in (0, 1, 3))
    assert executor.runs == [0, 1, 2, 3, *[2] * failures.TRIES]


def damaged(flow_store: Path) -> Path:
    """The store with one chunk of 32^3, (0, 0, 1, 1), spoilt."""
    chunk = flow_store / "0" / "c" / "0" / "0" / "1" / "1"
    assert chunk.exists()
    chunk.write_bytes(b"not a chunk")
    return flow_store


def test_a_damaged_chunk_is_named_and_can_be_mended(tmp_path: Path, flow_store: Path) -> None:
    out = tmp_path / "out.zarr"
    chunk = flow_store / "0" / "c" / "0" / "0" / "1" / "1"
    sound = chunk.read_bytes()
    damaged(flow_store)
    with pytest.raises(BlockError, match=r"chunk \(0, 0, 1, 1\) of array '0' of .*flows.zarr cannot be read") as error:
        bigcell.segment(flows=flow_store, output=out, block=BLOCK, cluster="serial")
    assert "--on-bad-chunk fill" in str(error.value)
    chunk.write_bytes(sound)
    plain = bigcell.segment(flows=flow_store, output=tmp_path / "plain.zarr", block=BLOCK, cluster="serial")
    assert files_of(bigcell.resume(out, cluster="serial").path) == files_of(plain.path)


def test_a_damaged_chunk_is_filled_told_and_counted(tmp_path: Path, flow_store: Path, store: Any) -> None:
    """The labels are those of a store that never had the chunk."""
    flows = np.array(open_image(flow_store).read(Box.of((36, 60, 68))))
    flows[:, :32, 32:, 32:64] = 0  # all channels are in one chunk
    holed = store(tmp_path / "holed.zarr", flows, levels=2, spacing=0.5)
    plain = bigcell.segment(flows=holed, output=tmp_path / "plain.zarr", block=BLOCK, cluster="serial")
    said = list[Event]()
    result = bigcell.segment(
        flows=damaged(flow_store), output=tmp_path / "out.zarr", block=(36, 20, 68), cluster="serial",
        on_bad_chunk="fill", listener=said.append,
    )  # fmt: skip
    assert files_of(result.path) == files_of(plain.path)
    assert result.counts["bad_chunks"] == 1
    assert [e.text for e in said if isinstance(e, Notice) and "(0, 0, 1, 1) of array '0'" in e.text]


def test_a_damaged_image_is_filled_in_every_step_that_reads_it(tmp_path: Path, store: Any) -> None:
    """Percentiles and network see the fill value; a damaged flow that was kept is met in the same way by `masks`."""
    from bigcell.synthetic import sample_volume

    made = sample_volume((8, 40, 40), diameter=14, seed=3).image
    holed = np.array(made)
    holed[..., :32, 32:] = 0
    words: dict[str, Any] = {"diameter": 14, "tile": 48, "block": (8, 20, 40), "cluster": "serial"}
    plain = bigcell.segment(store(tmp_path / "holed.zarr", holed), output=tmp_path / "plain.zarr", **words)
    image = store(tmp_path / "image.zarr", made)
    chunk = next(p for p in (image / "0" / "c").rglob("*") if p.is_file() and p.parts[-2:] == ("0", "1"))
    chunk.write_bytes(b"not a chunk")
    words |= {"output": tmp_path / "out.zarr", "on_bad_chunk": "fill"}
    result = bigcell.segment(image, keep_flows=tmp_path / "flows.zarr", **words)
    assert files_of(result.path) == files_of(plain.path)
    assert result.counts["bad_chunks"] == 1
    for kept in (p for p in (tmp_path / "flows.zarr" / "0" / "c").rglob("*") if p.is_file()):
        kept.write_bytes(b"nor is this")
    again = bigcell.masks(tmp_path / "flows.zarr", labels="again", cluster="serial")
    assert (again.objects, again.counts["bad_chunks"] > 0) == (0, True)
    with pytest.raises(BlockError, match="cannot be read"):
        bigcell.masks(tmp_path / "flows.zarr", labels="more", cluster="serial", on_bad_chunk="fail")


def test_a_chunk_that_comes_back_is_not_bad(monkeypatch: pytest.MonkeyPatch, flow_store: Path) -> None:
    """A store that fails one read in eight gives the same labels."""
    from bigcell.io.ngff.image import ZarrVolume

    plain = bigcell.segment(flows=flow_store, block=BLOCK, cluster="serial")
    read, chance = ZarrVolume.read, np.random.default_rng(1)

    def shaky(self: ZarrVolume, box: Box) -> np.ndarray:
        if chance.random() < 0.125:
            raise ChunkError("the connection was reset")
        return read(self, box)

    monkeypatch.setattr(ZarrVolume, "read", shaky)
    again = bigcell.segment(flows=flow_store, block=BLOCK, cluster="serial", overwrite=True, on_bad_chunk="fill")
    assert again.counts == plain.counts


def test_how_bad_chunks_are_met_is_part_of_the_plan(flow_store: Path) -> None:
    fail, fill = (bigcell.plan(flows=flow_store, on_bad_chunk=how) for how in ("fail", "fill"))
    assert fail.id != fill.id
    with pytest.raises(bigcell.BigcellError, match="wanted 'fail' or 'fill'"):
        bigcell.plan(flows=flow_store, on_bad_chunk="skip")  # type: ignore[typeddict-item]


def test_a_stage_that_is_resumed_says_what_was_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path
) -> None:
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as poisoned:
        fail_in(poisoned, "find_sinks", iter([KeyError("poison")] * 99))
        with pytest.raises(BlockError):
            bigcell.segment(flows=flow_store, output=out, block=BLOCK, cluster="serial")
    found: dict[str, int] = {}
    bigcell.resume(
        out, cluster="serial",
        listener=lambda e: found.setdefault(e.stage, e.done) if isinstance(e, StageStarted) else None,
    )  # fmt: skip
    assert (found["follow_flows"], found["find_sinks"], found["label_blocks"]) == (8, 7, 0)


def full(*_: object, **__: object) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "where",
    [
        "zarr.storage._local._put",  # labels
        "bigcell.io.scratch._append",  # the journal
        "bigcell.io.tables.ObjectTable._place",
        "bigcell.engine.runs.run_folder.publish",
    ],
)
def test_a_full_disk_is_a_clean_stop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path, where: str
) -> None:
    plain = bigcell.segment(flows=flow_store, output=tmp_path / "plain.zarr", block=BLOCK, cluster="serial")
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as small:
        small.setattr(where, full)
        with pytest.raises(OutputError, match=r"cannot .*No space left on device"):
            bigcell.segment(flows=flow_store, output=out, block=BLOCK, cluster="serial")
    assert not (out / "labels" / "cells").exists()
    assert files_of(bigcell.resume(out, cluster="serial").path) == files_of(plain.path)


def test_a_full_disk_while_flows_are_kept_is_a_clean_stop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from bigcell.io.ngff.write_image import write_image
    from bigcell.synthetic import sample_volume

    image = write_image(tmp_path / "image.zarr", sample_volume((8, 40, 40), diameter=14, seed=3).image)
    words: dict[str, Any] = {"diameter": 14, "tile": 48, "block": (8, 20, 40), "cluster": "serial"}
    plain = bigcell.segment(image, keep_flows=tmp_path / "plain_flows.zarr", output=tmp_path / "plain.zarr", **words)
    out, kept = tmp_path / "out.zarr", tmp_path / "flows.zarr"
    with monkeypatch.context() as small:
        small.setattr("zarr.storage._local._put", full)
        with pytest.raises(OutputError, match=r"cannot .*No space left on device"):
            bigcell.segment(image, keep_flows=kept, output=out, **words)
    assert not kept.exists()
    resumed = bigcell.resume(out, cluster="serial")
    assert files_of(resumed.path) == files_of(plain.path)
    assert files_of(kept) == files_of(tmp_path / "plain_flows.zarr")


def test_what_a_killed_write_left_is_not_published(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path
) -> None:
    plain = bigcell.segment(flows=flow_store, output=tmp_path / "plain.zarr", block=BLOCK, cluster="serial")
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as broken:
        broken.setattr("bigcell.engine.runs.run_folder.publish", full)
        with pytest.raises(OutputError):
            bigcell.segment(flows=flow_store, output=out, block=BLOCK, cluster="serial")
    chunk = next(p for p in (out / "labels").rglob("c/0/0/0"))
    chunk.with_name(f"{chunk.name}.deadbeef.partial").write_bytes(b"half of it")
    assert files_of(bigcell.resume(out, cluster="serial").path) == files_of(plain.path)


def test_half_a_work_folder_is_no_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path) -> None:
    """A kill while a finished run tidies up: `resume` finds the labels, and another run starts from nothing."""
    out = tmp_path / "out.zarr"
    with monkeypatch.context() as killed:
        killed.setattr("bigcell.engine.runs.ended.tidy", lambda *_: (_ for _ in ()).throw(OSError("busy")))
        first = bigcell.segment(flows=flow_store, output=out, block=BLOCK, cluster="serial")
    work = tmp_path / "out.zarr.bigcell" / "cells"
    assert (work / "scratch").exists()
    assert read_status(out).state == "finished"
    assert "its work folder" in read_status(out).notices[0]
    assert bigcell.resume(out).objects == first.objects
    assert not work.parent.exists()
    again = bigcell.segment(flows=flow_store, output=out, block=BLOCK, cluster="serial", overwrite=True)
    assert again.counts == first.counts
