"""`bigcell.train`: from a folder of images, on from where it stopped, and on with corrections."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import bigcell
from bigcell.core.errors import InputError, PlanError, SettingsError
from bigcell.networks.registry import load_model
from bigcell.synthetic import sample_volume
from bigcell.training.loop.events import Event, Stepped
from bigcell.training.loop.state import load_state
from bigcell.training.output.result import CARD
from bigcell.training.train import START

QUICK: dict[str, Any] = {
    "steps": 5, "epoch": 8, "batch": 4, "width": (4, 8), "diameter": 12, "crop": 32, "precision": "float32",
}  # fmt: skip


def pairs(folder: Path, count: int, seed: int = 0) -> Path:
    """Images with masks beside them, as Cellpose has them."""
    folder.mkdir(exist_ok=True)
    for i in range(count):
        made = sample_volume((1, 64, 64), diameter=12, seed=seed + i)
        tifffile.imwrite(folder / f"{i}.tif", made.image[0, 0])
        tifffile.imwrite(folder / f"{i}_masks.tif", made.labels[0].astype(np.uint16))
    return folder


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pairs(tmp_path_factory.mktemp("data") / "cells", 4)


class StopHereError(Exception):
    """What ends a training here."""


def stop(event: Event) -> None:
    if isinstance(event, Stepped) and event.step == 3:
        raise StopHereError


def test_a_folder_becomes_a_model(cells: Path, tmp_path: Path) -> None:
    made = bigcell.train(cells, tmp_path / "mine", licence="CC0", **QUICK)
    assert made.scores is not None
    assert load_model(made.model).network.nbase == (2, 4, 8)
    card = made.model.with_name(CARD).read_text()
    assert "`CC0`" in card
    assert "--steps 5" in card
    assert str(cells.parent) not in card.replace(f"bigcell train {cells}", "")
    image = tifffile.imread(cells / "0.tif")
    assert bigcell.segment(image, model=made.model).labels is not None


def test_it_is_taken_up_from_anywhere(cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cells.parent)
    with pytest.raises(StopHereError):
        bigcell.train("cells", tmp_path / "mine", save_every=2, listener=stop, **QUICK)
    monkeypatch.chdir(tmp_path)
    made = bigcell.train(resume="mine")
    assert made.steps == 5
    whole = bigcell.train(cells, tmp_path / "whole", save_every=2, **QUICK)
    one, two = (load_model(m.model).network.state_dict() for m in (made, whole))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_changed_images_are_refused(tmp_path: Path) -> None:
    folder = pairs(tmp_path / "cells", 3)
    with pytest.raises(StopHereError):
        bigcell.train(folder, tmp_path / "mine", save_every=2, listener=stop, **QUICK)
    for i in range(3):
        made = sample_volume((1, 64, 64), diameter=12, seed=50 + i)
        tifffile.imwrite(folder / f"{i}.tif", made.image[0, 0])
        tifffile.imwrite(folder / f"{i}_masks.tif", made.labels[0].astype(np.uint16))
    with pytest.raises(PlanError, match="begun otherwise"):
        bigcell.train(resume=tmp_path / "mine")


@pytest.mark.parametrize("finished", [True, False])
def test_corrections_give_their_share_in_a_training_of_its_own(cells: Path, tmp_path: Path, finished: bool) -> None:
    if finished:
        bigcell.train(cells, tmp_path / "mine", save_every=1, **QUICK)
    else:
        with pytest.raises(StopHereError):
            bigcell.train(cells, tmp_path / "mine", save_every=1, listener=stop, **QUICK)
    before = {p.name: p.read_bytes() for p in (tmp_path / "mine").iterdir()}
    corrected = pairs(tmp_path / "corrected", 2, seed=30)
    told: list[Event] = []
    made = bigcell.train(resume=tmp_path / "mine", add=corrected, share=0.5, steps=3, listener=told.append)
    assert made.model.parent == tmp_path / "mine-2"
    assert {p.name: p.read_bytes() for p in (tmp_path / "mine").iterdir()} == before
    state, _ = load_state(tmp_path / "mine-2")
    assert sum(row["share"] for name, row in state.known["train"].items() if "corrected" in name) == 0.5
    assert state.known["settings"]["rate"] == pytest.approx(2e-3 / 5)
    assert state.known["start"]["from"] == START
    card = made.model.with_name(CARD).read_text()
    assert "Corrections were added: `1 source of corrected, 50 parts in 100 of the crops`" in card
    assert any("50 parts in 100" in getattr(event, "text", "") for event in told)
    again = bigcell.train(resume=tmp_path / "mine-2")  # and this one is taken up by its folder, too
    assert again.steps == 3
    third = bigcell.train(resume=tmp_path / "mine-2", add=corrected, out=tmp_path / "third", steps=1)
    assert third.model.parent == tmp_path / "third"


def test_corrections_that_are_refused_leave_no_folder(cells: Path, tmp_path: Path) -> None:
    bigcell.train(cells, tmp_path / "mine", **QUICK)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        bigcell.train(resume=tmp_path / "mine", add=tmp_path / "empty")
    with pytest.raises(SettingsError, match="share"):
        bigcell.train(resume=tmp_path / "mine", add=cells, share=2.0)
    assert sorted(os.listdir(tmp_path)) == ["empty", "mine"]


def test_what_does_not_go_together_is_refused(cells: Path, tmp_path: Path) -> None:
    for options in (
        {}, {"data": cells}, {"out": tmp_path / "x"}, {"data": cells, "out": tmp_path / "x", "add": cells},
        {"resume": tmp_path, "data": cells}, {"resume": tmp_path, "steps": 3}, {"resume": tmp_path, "out": tmp_path},
        {"resume": tmp_path, "model": "nuclei"}, {"resume": tmp_path, "share": 0.4},
    ):  # fmt: skip
        with pytest.raises(SettingsError, match=r"wanted data|leave"):
            bigcell.train(**options)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="did you mean 'epoch'"):
        bigcell.train(cells, tmp_path / "x", epochz=3)
    with pytest.raises(InputError, match="no training was begun"):
        bigcell.train(resume=tmp_path / "nowhere")
    assert os.listdir(tmp_path) == []


def test_tensorboard_without_it_is_an_error_before_any_work(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(SettingsError, match=r"bigcell\[train\]"):
        bigcell.train(cells, tmp_path / "mine", tensorboard=True, **QUICK)
    assert not (tmp_path / "mine").exists()


def test_tensorboard_gets_every_row(cells: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install 'bigcell[train]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    made = bigcell.train(cells, tmp_path / "mine", tensorboard=True, **QUICK)
    held = EventAccumulator(str(tmp_path / "mine" / "tensorboard"))
    held.Reload()
    found = [(e.step, e.value) for e in held.Scalars("loss")]
    assert [step for step, _ in found] == [row.step for row in made.history]
    assert [value for _, value in found] == pytest.approx([row.loss for row in made.history], rel=1e-5)
