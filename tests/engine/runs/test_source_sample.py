"""Voxels of an input that change under a run are refused, whoever takes it up; the same voxels are not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bigcell
from bigcell import api
from bigcell.core.errors import PlanError
from bigcell.engine.runs.ended import read_record
from bigcell.engine.runtime.events import Event, StageStarted
from bigcell.testing.disturbed import Stopping
from bigcell.testing.files import files_of

WORDS: dict[str, Any] = {"block": (36, 60, 34), "cluster": "serial"}
CHUNK = "0/c/0/0/1/1"
SAID = r"the flows at .* has changed since this run began.* 0/c/0/0/1/1 \(other content\)"


def spoil(store: Path) -> bytes:
    """Change one chunk, and leave its size. Returns what it held."""
    held = (store / CHUNK).read_bytes()
    (store / CHUNK).write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    return held


def cut(monkeypatch: pytest.MonkeyPatch, out: Path, **inputs: Path) -> None:
    """A run that is interrupted after its first block."""
    with monkeypatch.context() as patch:
        patch.setattr(api, "choose_executor", lambda *_: Stopping(1))
        with pytest.raises(KeyboardInterrupt):
            bigcell.segment(output=out, **inputs, **WORDS)


def test_changed_voxels_are_refused_and_the_old_ones_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path
) -> None:
    plain = bigcell.segment(flows=flow_store, output=tmp_path / "plain.zarr", **WORDS)
    out = tmp_path / "out.zarr"
    cut(monkeypatch, out, flows=flow_store)
    held = spoil(flow_store)
    with pytest.raises(PlanError, match=SAID):
        bigcell.resume(out, cluster="serial")
    (flow_store / CHUNK).write_bytes(held)
    assert files_of(bigcell.resume(out, cluster="serial").path) == files_of(plain.path)


def test_a_copy_in_the_place_of_the_old_one_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path
) -> None:
    out = tmp_path / "out.zarr"
    cut(monkeypatch, out, flows=flow_store)
    shutil.copytree(flow_store, tmp_path / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(flow_store)
    (tmp_path / "copy").rename(flow_store)
    assert bigcell.resume(out, cluster="serial").objects > 0


def test_voxels_that_change_while_a_run_goes_on_give_no_labels(tmp_path: Path, flow_store: Path) -> None:
    held = list[bytes]()

    def listen(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == "label_blocks":
            held.append(spoil(flow_store))

    out = tmp_path / "out.zarr"
    with pytest.raises(PlanError, match=SAID):
        bigcell.segment(flows=flow_store, output=out, listener=listen, **WORDS)
    assert not (out / "labels" / "cells").exists()
    (flow_store / CHUNK).write_bytes(held[0])
    assert bigcell.resume(out, cluster="serial").objects > 0


def test_a_worker_of_an_array_does_not_join(tmp_path: Path, flow_store: Path) -> None:
    plan = api.save_plan(flows=flow_store, output=tmp_path / "out.zarr", block=WORDS["block"])
    spoil(flow_store)
    with pytest.raises(PlanError, match=SAID):
        api.worker(plan, index=0, of=1)


def test_an_image_beside_flows_is_an_input_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path, store: Callable[..., Path]
) -> None:
    image = store(tmp_path / "image.zarr", np.ones((1, 36, 60, 68), np.uint16))
    cut(monkeypatch, image, image=image, flows=flow_store)
    (image / CHUNK).unlink()
    with pytest.raises(PlanError, match=r"the image at .* 0/c/0/0/1/1 \(vanished\)"):
        bigcell.resume(image, cluster="serial")


def test_a_sample_is_in_no_plan_and_no_record(tmp_path: Path, flow_store: Path) -> None:
    """Two copies of an image are told apart by where they are, as before, and by nothing else."""
    one = bigcell.segment(flows=flow_store, output=tmp_path / "one.zarr", **WORDS)
    held = files_of(one.path)
    for file in (p for p in flow_store.rglob("*") if p.is_file()):
        os.utime(file, (1, 1))
    bigcell.segment(flows=flow_store, output=tmp_path / "one.zarr", overwrite=True, **WORDS)
    assert files_of(one.path) == held
    assert CHUNK not in json.dumps(read_record(one.path or "").to_json())


def test_a_plan_of_before_there_were_samples_is_believed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path
) -> None:
    out = tmp_path / "out.zarr"
    cut(monkeypatch, out, flows=flow_store)
    file = tmp_path / "out.zarr.bigcell" / "cells" / "plan.json"
    values = json.loads(file.read_text())
    assert set(values["sample"]) == {"flows"}
    file.write_text(json.dumps({**values, "sample": {"flows": {"seen": 5}}}))
    with pytest.raises(PlanError, match="the sample of the input in the plan cannot be read"):
        bigcell.resume(out, cluster="serial")
    del values["sample"]
    file.write_text(json.dumps(values))
    assert bigcell.resume(out, cluster="serial").objects > 0


def test_a_mask_is_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path, store: Any) -> None:
    """What a run knows of its foreground lies in its work folder: the mask may change, or go."""
    inside = np.zeros((1, 36, 60, 68), np.uint8)
    inside[:, :, :40, :40] = 1
    mask = store(tmp_path / "mask.zarr", inside, spacing=0.5)
    plain = bigcell.segment(flows=flow_store, output=tmp_path / "plain.zarr", foreground=mask, **WORDS)
    out = tmp_path / "out.zarr"
    cut(monkeypatch, out, flows=flow_store, foreground=mask)
    shutil.rmtree(mask)
    assert files_of(bigcell.resume(out, cluster="serial").path) == files_of(plain.path)


def test_metadata_that_change_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path) -> None:
    out, document = tmp_path / "out.zarr", flow_store / "0" / "zarr.json"
    cut(monkeypatch, out, flows=flow_store)
    document.write_text(json.dumps({**json.loads(document.read_text()), "attributes": {"note": "mine"}}))
    with pytest.raises(PlanError, match=r"the flows is not the one that was planned \(metadata_sha256: .* put it back"):
        bigcell.resume(out, cluster="serial")


def test_another_version_of_the_algorithm_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flow_store: Path
) -> None:
    out = tmp_path / "out.zarr"
    cut(monkeypatch, out, flows=flow_store)
    file = tmp_path / "out.zarr.bigcell" / "cells" / "plan.json"
    values = json.loads(file.read_text())
    values["plan"]["engine"] -= 1
    file.write_text(json.dumps(values))
    with pytest.raises(PlanError, match=r"was made by version \d+ of the algorithm, here is \d+: use the bigcell of"):
        bigcell.resume(out, cluster="serial")
