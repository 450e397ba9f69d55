"""Runs that leave files: the same bytes whoever works, resumed runs, table, record, overwriting."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import zarr

import bigcell
from bigcell.core.errors import InputError, OutputError, PlanError
from bigcell.engine.runtime.events import StageStarted, TaskDone
from bigcell.io.scratch import DiskScratch
from bigcell.io.tables import read_objects
from bigcell.provenance.journal import Journal
from bigcell.testing.files import files_of
from bigcell.testing.flows import FlowLattice


def done_in(work: Path) -> set[tuple[str, str]]:
    """Stage and key of every task that the journal of an unfinished run holds."""
    return {
        (stage.name, key)
        for scratch in work.glob("scratch/*")
        for stage in scratch.glob("done/*")
        for key in Journal(DiskScratch(scratch)).finished(stage.name)
    }


def voxels_of(path: Path) -> np.ndarray:
    return np.asarray(zarr.open_array(path / "0", mode="r")[...])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_stand_in_the_image_store(tmp_path: Path, store, lattice: FlowLattice, version: str) -> None:
    from bigcell.core.box import Box

    path = store(tmp_path / "x.zarr", lattice.read(Box.of(lattice.extent)), levels=2, version=version)
    result = bigcell.segment(flows=path, block=(20, 32, 32), cluster="serial")
    assert result.path == path / "labels" / "cells"
    whole = bigcell.segment(flows=lattice.read(Box.of(lattice.extent)))
    assert np.array_equal(voxels_of(result.path), whole.labels)
    assert result.objects == whole.objects > 50
    coarse = np.asarray(zarr.open_array(result.path / "1", mode="r")[...])
    assert set(np.unique(coarse)) <= set(range(result.objects + 1))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.zarr"]  # no work folder is left


def test_same_bytes_for_blocks_and_executors(tmp_path: Path, flow_store: Path) -> None:
    seen = {}
    for block in [(36, 60, 68), (20, 32, 32), (9, 60, 17)]:
        for cluster in ("serial", "processes", "local"):
            out = tmp_path / f"{block}-{cluster}.zarr"
            bigcell.segment(flows=flow_store, output=out, block=block, cluster=cluster, workers=2)
            seen[block, cluster] = files_of(out / "labels" / "cells")
    first = next(iter(seen.values()))
    assert len(first) > 2
    for key, files in seen.items():
        assert files.keys() == first.keys(), key
        for name in files:
            assert files[name] == first[name], (key, name)


def test_the_table_says_what_the_labels_say(flow_store: Path) -> None:
    result = bigcell.segment(flows=flow_store, block=(20, 32, 32), cluster="serial")
    labels = voxels_of(result.path)
    table = read_objects(result.path / "objects.parquet")
    assert table["id"].tolist() == list(range(1, result.objects + 1))
    assert table["voxels"].tolist() == np.bincount(labels.ravel())[1:].tolist()
    np.testing.assert_allclose(table["volume_um3"], table["voxels"] * 0.125)
    for i in (1, result.objects // 2, result.objects):
        where = np.argwhere(labels == i)
        row = {k: v[i - 1] for k, v in table.items()}
        assert [row["z_min"], row["y_max"]] == [where[:, 0].min(), where[:, 1].max() + 1]
        np.testing.assert_allclose([row["z"], row["y"], row["x"]], where.mean(0))
        np.testing.assert_allclose(row["x_um"], where[:, 2].mean() * 0.5)
        on_border = (where == 0).any() or (where == np.array(labels.shape) - 1).any()
        assert row["touches_border"] == on_border


def test_a_killed_run_resumes_to_the_same_bytes(tmp_path: Path, flow_store: Path) -> None:
    plain = bigcell.segment(flows=flow_store, output=tmp_path / "plain.zarr", block=(12, 20, 23), cluster="serial")
    out = tmp_path / "killed.zarr"
    code = (
        "import bigcell, sys; from bigcell.testing.disturbed import AtTask, kill_this_process; "
        "kill = AtTask(int(sys.argv[4]), kill_this_process, sys.argv[3]); "
    )
    segment = "bigcell.segment(flows=sys.argv[1], output=sys.argv[2], block=(12, 20, 23), workers=1, listener=kill)"
    resume = "bigcell.resume(sys.argv[2], workers=1, listener=kill)"
    work = tmp_path / "killed.zarr.bigcell" / "cells"
    for verb, stage, tasks in [(segment, "follow_flows", 5), (resume, "label_blocks", 3), (resume, "write_labels", 1)]:
        words = [sys.executable, "-c", code + verb, str(flow_store), str(out), stage, str(tasks)]
        assert subprocess.run(words).returncode == -signal.SIGKILL
        assert not (out / "labels" / "cells").exists()
    again: list[tuple[str, str]] = []
    found: dict[str, int] = {}

    def listen(event: object) -> None:
        if isinstance(event, TaskDone):
            again.append((event.stage, event.key))
        if isinstance(event, StageStarted):
            found[event.stage] = event.done

    before = done_in(work)
    resumed = bigcell.resume(out, cluster="serial", listener=listen)
    assert found["follow_flows"] == 27  # every finished block was found done ...
    assert not set(again) & before  # ... and none was repeated
    assert files_of(resumed.path) == files_of(plain.path)
    assert not work.exists()


def test_an_existing_name_is_refused_and_survives(flow_store: Path) -> None:
    first = bigcell.segment(flows=flow_store, cluster="serial")
    before = files_of(first.path)
    with pytest.raises(OutputError, match="exists already"):
        bigcell.segment(flows=flow_store, cluster="serial")
    assert files_of(first.path) == before
    second = bigcell.segment(flows=flow_store, cluster="serial", overwrite=True, min_size=500)
    assert second.objects < first.objects
    assert sorted(p.name for p in (flow_store / "labels").iterdir()) == ["cells", "zarr.json"]


def test_other_labels_stay_listed(flow_store: Path) -> None:
    bigcell.segment(flows=flow_store, cluster="serial", labels="one")
    bigcell.segment(flows=flow_store, cluster="serial", labels="two")
    listed = json.loads((flow_store / "labels" / "zarr.json").read_text())["attributes"]["ome"]["labels"]
    assert listed == ["one", "two"]


def test_rerun_makes_the_same_labels(tmp_path: Path, flow_store: Path) -> None:
    first = bigcell.segment(flows=flow_store, block=(20, 32, 32), cluster="serial", min_size=40)
    record = json.loads((first.path / "record.json").read_text())
    attributes = json.loads((first.path / "zarr.json").read_text())["attributes"]
    assert attributes["bigcell"] == record
    assert record["plan"]["settings"]["sizes"]["min_size"] == 40
    again = bigcell.rerun(first.path / "record.json", output=tmp_path / "again.zarr", cluster="serial")
    assert files_of(again.path) == files_of(first.path)


def test_flows_beside_an_image_label_the_image(tmp_path: Path, flow_store: Path, store, lattice: FlowLattice) -> None:
    image = store(tmp_path / "image.zarr", np.zeros((2, *lattice.extent), np.uint16), spacing=0.5)
    result = bigcell.segment(image, flows=flow_store, cluster="serial")
    assert result.path == image / "labels" / "cells"
    assert result.objects == bigcell.segment(flows=flow_store, cluster="serial").objects


@pytest.mark.parametrize(("version", "works"), [(2, True), (1, False)])
def test_rerun_of_an_earlier_version(tmp_path: Path, flow_store: Path, version: int, works: bool) -> None:
    first = bigcell.segment(flows=flow_store, output=tmp_path / "out.zarr", cluster="serial")
    assert first.path is not None
    record = json.loads((first.path / "record.json").read_text())
    record["plan"]["engine"] = version
    (tmp_path / "record.json").write_text(json.dumps(record))
    with nullcontext() if works else pytest.raises(PlanError, match=f"was made by version {version} of the algorithm"):
        bigcell.rerun(tmp_path / "record.json", output=tmp_path / "again.zarr", cluster="serial")


def test_rerun_refuses_a_changed_input(tmp_path: Path, flow_store: Path, store) -> None:
    first = bigcell.segment(flows=flow_store, output=tmp_path / "out.zarr", cluster="serial")
    flow_store.rename(tmp_path / "old.zarr")
    store(flow_store, np.zeros((4, 8, 8, 8), np.float32))
    with pytest.raises(PlanError, match="not the one that was planned"):
        bigcell.rerun(first.path, output=tmp_path / "again.zarr")


def test_flows_that_are_not_finite_leave_nothing(tmp_path: Path, store) -> None:
    flows = np.zeros((4, 20, 20, 20), np.float32)
    flows[1, 5, 5, 5] = np.nan
    path = store(tmp_path / "bad.zarr", flows)
    with pytest.raises(InputError, match="not finite"):
        bigcell.segment(flows=path, output=tmp_path / "out.zarr", block=(10, 10, 10), cluster="serial")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.zarr"]


def test_nothing_found_gives_valid_empty_labels(tmp_path: Path, store) -> None:
    path = store(tmp_path / "empty.zarr", np.full((4, 12, 20, 20), -5, np.float32))
    result = bigcell.segment(flows=path, cluster="serial")
    assert result.objects == 0
    assert not voxels_of(result.path).any()
    assert len(read_objects(result.path / "objects.parquet")["id"]) == 0


def test_resume_of_a_finished_run_says_so(flow_store: Path) -> None:
    first = bigcell.segment(flows=flow_store, cluster="serial")
    assert bigcell.resume(flow_store).objects == first.objects
    with pytest.raises(OutputError, match="no unfinished run"):
        bigcell.resume(flow_store, labels="other")


def test_labels_that_tasks_have_written_are_not_made_anew(tmp_path: Path, flow_store: Path) -> None:
    """The note that their store was made is lost, as a machine that loses power may lose it: they would be empty."""

    def stop(event: object) -> None:
        if isinstance(event, TaskDone) and event.stage == "write_labels":
            raise KeyboardInterrupt

    out = tmp_path / "out.zarr"
    with pytest.raises(KeyboardInterrupt):
        bigcell.segment(flows=flow_store, output=out, cluster="serial", listener=stop)
    for log in (tmp_path / "out.zarr.bigcell").glob("cells/scratch/*/made/*"):
        log.unlink()
    with pytest.raises(PlanError, match="a part of the work folder is lost: tasks have written labels"):
        bigcell.resume(out, cluster="serial")
    again = bigcell.segment(flows=flow_store, output=out, cluster="serial", overwrite=True)
    assert again.objects > 10
