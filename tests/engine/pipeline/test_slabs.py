"""Slab by slab gives what stage after stage gives, with little scratch at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bigcell
from bigcell import api
from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import BlockError
from bigcell.core.volume import ArrayVolume
from bigcell.dynamics.settings import DynamicsSettings
from bigcell.engine.pipeline.in_memory import segment_in_memory
from bigcell.engine.pipeline.slabs import slab_layers
from bigcell.engine.pipeline.stage_runner import Run
from bigcell.engine.planning import memory_cost
from bigcell.engine.planning.disk_cost import stage_bytes
from bigcell.engine.planning.memory_cost import estimate
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import RunSettings
from bigcell.engine.runtime.events import Event, StageFinished, StageStarted, TaskDone, TaskFailed
from bigcell.engine.tasks.job import Job
from bigcell.engine.tasks.stages import STAGES
from bigcell.io.ngff.write_image import write_image
from bigcell.io.scratch import DiskScratch
from bigcell.stitch.clean import CleanSettings
from bigcell.synthetic import sample_volume
from bigcell.testing.disturbed import Stopping
from bigcell.testing.files import files_of
from bigcell.testing.flows import FlowLattice
from bigcell.testing.oracle import oracle_plan, predict_lattice, run_on_disk

Zyx = tuple[int, int, int]
Flows = Callable[[Zyx, int], np.ndarray]
LONG = FlowLattice((1200, 16, 24), diameter=12, noise=0.4, seed=5)


@pytest.fixture
def slabs(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Has plans take so many layers of blocks at a time, 0 for stage after stage."""
    return lambda layers: monkeypatch.setattr(memory_cost, "choose_order", lambda plan, workers: (layers, 0))


def in_order(plan: Plan, slab: int) -> Plan:
    return replace(plan, budget=replace(estimate(plan), slab=slab))


def cells(extent: Zyx, seed: int) -> np.ndarray:
    noise = (0.0, 0.5, 3.0)[seed % 3]
    return FlowLattice(extent, diameter=9, noise=noise, seed=seed, fill=0.7).read(Box.of(extent))


def wild(extent: Zyx, seed: int) -> np.ndarray:
    """Flows without order, of up to 4 voxels a step."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-20, 20, (4, *extent)).astype(np.float32)


def strong_at_the_end(extent: Zyx, seed: int) -> np.ndarray:
    """The last planes throw voxels far back into planes that hardly move."""
    flows = cells(extent, seed)
    flows[0, : extent[0] * 2 // 3] *= 0.1
    flows[0, extent[0] * 2 // 3 :] = -20
    return flows


def river(extent: Zyx, seed: int) -> np.ndarray:
    """A stream through all planes, up to four voxels a step, that comes to rest now and then."""
    rng = np.random.default_rng(seed)
    flows = np.zeros((4, *extent), np.float32)
    flows[3] = 5
    flows[0] = rng.choice([-20, -8, -3, 8, 20])
    flows[0, :: int(rng.integers(40, 120))] = 0
    return flows


@settings(max_examples=15)
@given(
    extent=st.tuples(st.integers(30, 220), st.integers(4, 12), st.integers(4, 12)),
    block=st.tuples(st.integers(3, 24), st.integers(4, 12), st.integers(4, 12)),
    slab=st.integers(1, 3),
    dynamics=st.builds(
        DynamicsSettings,
        niter=st.sampled_from([1, 5, 30, 200]),
        halo=st.integers(1, 9),
        planar=st.booleans(),
        sampling=st.sampled_from(["centre", "cellpose"]),
    ),
    threshold=st.sampled_from([0, 0.4]),
    flows=st.sampled_from([cells, wild, strong_at_the_end, river]),
    network=st.booleans(),
    seed=st.integers(0, 1000),
)
@example((200, 5, 6), (6, 5, 6), 1, DynamicsSettings(niter=30, halo=4), 0, river, True, 1)
@example((200, 5, 6), (6, 5, 6), 1, DynamicsSettings(niter=30, halo=4), 0, river, False, 3)
def test_slab_by_slab_equals_stage_after_stage(
    extent: Zyx,
    block: Zyx,
    slab: int,
    dynamics: DynamicsSettings,
    threshold: float,
    flows: Flows,
    network: bool,
    seed: int,
) -> None:
    """With `network`, flows stand in scratch and go from there; else they are read from elsewhere."""
    clean = CleanSettings(flow_threshold=threshold, flow_threshold_3d=5 * threshold)
    source = ArrayVolume(flows(extent, seed))
    if network:
        plan = oracle_plan(FlowLattice(extent, diameter=9), block)
        plan = replace(plan, settings=replace(plan.settings, dynamics=dynamics, clean=clean))
        inputs: tuple[Any, Any] = ArrayVolume(np.zeros((1, *extent), np.float32)), None
    else:
        run = RunSettings(block, dynamics=dynamics, clean=clean)
        plan = Plan(extent, Spacing(), ("dz", "dy", "dx", "cellprob"), "float32", run, flows={"source": "test"})
        inputs = None, source
    with patch.dict(STAGES, {"predict_flows": STAGES["predict_flows"].running(predict_lattice(source))}):
        plain = segment_in_memory(in_order(plan, 0), *inputs)
        rolled = segment_in_memory(in_order(plan, slab), *inputs)
    assert np.array_equal(rolled.labels, plain.labels)  # type: ignore[arg-type]
    assert rolled.table is not None
    assert plain.table is not None
    assert all(np.array_equal(rolled.table[name], plain.table[name]) for name in plain.table)
    tasks = [{s: (e["tasks"], e["run"]) for s, e in r.stages.items()} for r in (plain, rolled)]
    assert tasks[0] == tasks[1]


@pytest.mark.parametrize(
    "option",
    [
        {"do_3D": False, "flow_threshold": 0.3},
        {"diameter": 11, "flow3D_smooth": (0.5, 1.0, 1.0), "flow_threshold_3d": 0.6, "niter": 20},
    ],
)
def test_a_network_run_leaves_the_same_files(
    option: dict[str, Any], tmp_path: Path, slabs: Callable[[int], None]
) -> None:
    """Labels, table and kept flows; and the network sees every tile once."""
    made = sample_volume((48, 20, 24), diameter=12, seed=3)
    image = write_image(tmp_path / "image.zarr", made.image, spacing=made.spacing)
    left = []
    for layers in (0, 1):
        slabs(layers)
        words = {"model": "cyto", "diameter": 13, "tile": 32, "block": (6, 14, 24), "cluster": "serial", **option}
        keep = tmp_path / f"flows{layers}.zarr"
        result = bigcell.segment(image, output=tmp_path / f"{layers}.zarr", keep_flows=keep, **words)
        assert result.path is not None
        left.append((result.objects, result.counts, files_of(Path(result.path)), files_of(keep)))
    assert left[0] == left[1]
    assert left[0][0] > 0


@dataclass
class Watching:
    """A listener that counts how often each task was done."""

    done: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __call__(self, event: Event) -> None:
        if isinstance(event, TaskDone):
            self.done[event.stage, event.key] += 1


@pytest.fixture
def tall(tmp_path: Path, store: Callable[..., Path]) -> Path:
    """Flows of many layers, with paths that leave their blocks."""
    extent = (150, 14, 16)
    return store(tmp_path / "tall.zarr", FlowLattice(extent, diameter=9, noise=0.8, seed=2).read(Box.of(extent)))


WORDS: dict[str, Any] = {"block": (5, 14, 16), "niter": 8, "flow_threshold_3d": 2.0, "cluster": "serial"}


@pytest.mark.parametrize("orders", [(1, 1), (1, 0), (0, 1)])
def test_interrupted_everywhere_and_taken_up_in_either_order(
    orders: tuple[int, int], tall: Path, tmp_path: Path, slabs: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    slabs(0)
    plain = bigcell.segment(flows=tall, output=tmp_path / "plain.zarr", **WORDS)
    total = sum(stage["tasks"] for stage in plain.stages.values())
    out, watch, turns = tmp_path / "cut.zarr", Watching(), 0
    while True:
        order = orders[turns % 2]
        with monkeypatch.context() as stopping:
            stopping.setattr(api, "choose_executor", lambda *_, **__: Stopping(total // 9))
            stopping.setattr("bigcell.engine.pipeline.segment.slab_layers", lambda run, order=order: order)
            try:
                if turns == 0:
                    result = bigcell.segment(flows=tall, output=out, listener=watch, **WORDS)
                else:
                    result = bigcell.resume(out, listener=watch, cluster="serial")
                break
            except KeyboardInterrupt:
                turns += 1
    assert turns >= 8
    assert plain.path is not None
    assert result.path is not None
    assert files_of(Path(result.path)) == files_of(Path(plain.path))
    again = sum(count - 1 for count in watch.done.values())
    assert again == 0
    assert sum(stage["tasks"] for stage in result.stages.values()) == total


def test_killed_while_it_removes(
    tall: Path, tmp_path: Path, slabs: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry may be gone and another of the same part still there."""
    slabs(1)
    plain = bigcell.segment(flows=tall, output=tmp_path / "plain.zarr", **WORDS)
    out, remove = tmp_path / "cut.zarr", DiskScratch.remove
    for turn, allowed in enumerate((1, 8, 40, 10**9)):
        left = iter(range(allowed))

        def removing(scratch: DiskScratch, name: str, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            remove(scratch, name)

        monkeypatch.setattr(DiskScratch, "remove", removing)
        if allowed < 10**9:
            with pytest.raises(KeyboardInterrupt):
                bigcell.resume(out, cluster="serial") if turn else bigcell.segment(flows=tall, output=out, **WORDS)
    result = bigcell.resume(out, cluster="serial")
    assert plain.path is not None
    assert result.path is not None
    assert files_of(Path(result.path)) == files_of(Path(plain.path))


@pytest.mark.parametrize("stage", ["follow_flows", "label_blocks"])
def test_a_poison_block_holds_up_only_what_needs_it(
    stage: str, tall: Path, tmp_path: Path, slabs: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    slabs(1)
    plain = bigcell.segment(flows=tall, output=tmp_path / "plain.zarr", **WORDS)
    step, seen, watch = STAGES[stage].run, list[Event](), Watching()

    def failing(job: Job, item: Any) -> dict[str, Any]:
        if item[0] == 2:
            raise KeyError("poison")
        return step(job, item)

    with monkeypatch.context() as poisoned:
        poisoned.setitem(STAGES, stage, STAGES[stage].running(failing))
        with pytest.raises(BlockError, match=r"^1 of \d+ tasks failed 3 times"):
            bigcell.segment(flows=tall, output=tmp_path / "cut.zarr", listener=seen.append, **WORDS)
    assert [(e.stage, e.key) for e in seen if isinstance(e, TaskFailed)] == [(stage, "2")]
    done = Counter(e.stage for e in seen if isinstance(e, TaskDone))
    assert done["follow_flows"] >= 29
    assert done["filter_by_flow_error"] > 4  # those of the last slabs
    result = bigcell.resume(tmp_path / "cut.zarr", cluster="serial", listener=watch)
    assert watch.done[stage, "2"] == 1
    assert not set(watch.done) & {(e.stage, e.key) for e in seen if isinstance(e, TaskDone)}
    assert plain.path is not None
    assert result.path is not None
    assert files_of(Path(result.path)) == files_of(Path(plain.path))


def test_stages_tell_of_all_their_tasks(tall: Path, tmp_path: Path, slabs: Callable[[int], None]) -> None:
    """Whoever watches sees a stage go on where it was, of as many tasks as it has in all; its seconds add up."""
    slabs(2)
    seen: list[Event] = []
    result = bigcell.segment(flows=tall, output=tmp_path / "out.zarr", listener=seen.append, **WORDS)
    begun = [e for e in seen if isinstance(e, StageStarted) and e.stage == "follow_flows"]
    assert [(e.total, e.done, e.voxels) for e in begun] == [(30, 2 * i, 150 * 14 * 16) for i in range(15)]
    for stage, entry in result.stages.items():
        seconds = sum(e.seconds for e in seen if isinstance(e, StageFinished) and e.stage == stage)
        assert entry["seconds"] == pytest.approx(seconds, abs=0.3)
        assert entry["tasks"] == sum(isinstance(e, TaskDone) and e.stage == stage for e in seen)


def test_scratch_is_a_few_slabs_as_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flows as a network leaves them, of a volume of many slabs."""
    monkeypatch.setitem(STAGES, "predict_flows", STAGES["predict_flows"].running(predict_lattice(LONG)))
    plan = oracle_plan(LONG, (10, 16, 24), niter=12)
    planned = estimate(plan)
    assert planned.slab > 0
    assert "8 layers of blocks at a time" in str(replace(plan, budget=planned))
    rolled, watch = run_on_disk(replace(plan, budget=planned), tmp_path / "slabs")
    plain, all_of_it = run_on_disk(in_order(plan, 0), tmp_path / "stages")
    assert np.array_equal(rolled, plain)
    assert rolled.max() > 50
    assert 0.3 * planned.scratch < watch.most < planned.scratch
    assert all_of_it.most < stage_bytes(plan)
    assert watch.most < 0.5 * all_of_it.most
    assert not any(list((tmp_path / "slabs" / kind).glob("*.*")) for kind in ("mail", "returns"))
    for kind in ("flows", "ends", "histogram", "sinks"):
        assert not list((tmp_path / "slabs" / kind).glob("*.*"))
        assert list((tmp_path / "stages" / kind).glob("*.*"))


def test_small_volumes_and_long_paths_go_stage_after_stage() -> None:
    assert estimate(oracle_plan(replace(LONG, extent=(100, 16, 24)), (10, 16, 24), niter=12)).slab == 0
    assert estimate(oracle_plan(LONG, (10, 16, 24), niter=400)).slab == 0
    assert estimate(oracle_plan(LONG, (10, 16, 24), niter=12)).slab > 0


@dataclass
class Queue(Stopping):
    by_stage: bool = True


def test_executors_that_want_stages_whole_get_them() -> None:
    plan = in_order(oracle_plan(LONG, (10, 16, 24), niter=12), 1)
    job = Job(plan, None, None, DiskScratch(Path("unused")))
    assert slab_layers(Run(job, Stopping(1))) == 1
    assert slab_layers(Run(job, Queue(1))) == 0


@pytest.mark.parametrize("workers", [1, 16])
def test_a_slab_has_work_for_all_workers(workers: int) -> None:
    """Blocks in a slab: several for each worker."""
    run = RunSettings((128, 128, 128), diameter=30.0)
    plan = Plan((20000, 512, 512), Spacing(), ("image",), "uint16", run, model="nuclei", model_diameter=30.0)
    slab = estimate(plan, workers=workers).slab
    assert slab * 16 >= 8 * workers
    assert slab
