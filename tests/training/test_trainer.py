"""A training from end to end: it learns, stops, goes on, and refuses what cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bigcell.core.errors import InputError, OutputError, PlanError, SettingsError
from bigcell.networks.dino_vit import CellposeDINO, DinoSizes
from bigcell.networks.registry import load_model
from bigcell.networks.sam_vit import CellposeSAM, SamSizes
from bigcell.testing.labelled import ArrayPair, arrays_source, synthetic_images
from bigcell.training.loop.events import Begun, Event, Looked, Said, Stepped
from bigcell.training.loop.state import CHECKPOINT, Row, load_state
from bigcell.training.output.history import METRICS
from bigcell.training.settings import TrainingSettings
from bigcell.training.trainer import Data, run_training

SETTINGS = TrainingSettings(
    steps=12, epoch=12, batch=4, width=(4, 8), diameter=12, crop=32, channels=1, rate=5e-3, precision="float32"
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data() -> Data:
    return Data([synthetic_images(2, 64, diameter=12)], [synthetic_images(1, 64, diameter=12, seed=9, name="unseen")])


class StopHereError(Exception):
    """What a test ends a training with."""


def stop_after(step: int) -> Any:
    def tell(event: Event) -> None:
        if isinstance(event, Stepped) and event.step == step:
            raise StopHereError

    return tell


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """All that a checkpoint holds, the best weights included."""
    state, tensors = load_state(folder)
    return {**tensors, **{f"best/{name}": value for name, value in state.best.items()}}


def assert_same(one: Path, two: Path) -> None:
    a, b = weights(one), weights(two)
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []
    rows = [[replace(row, seconds=0.0) for row in load_state(folder)[0].history] for folder in (one, two)]
    assert rows[0] == rows[1]


def test_it_learns_and_leaves_a_model(data: Data, tmp_path: Path) -> None:
    events: list[Event] = []
    settings = replace(SETTINGS, steps=60, epoch=60, width=(8, 16))
    made = run_training(data, tmp_path / "out", settings, listener=events.append)
    assert isinstance(events[0], Begun)
    assert [e.step for e in events if isinstance(e, Stepped)] == list(range(1, 61))
    rows = [e.row for e in events if isinstance(e, Looked)]
    assert [row.step for row in rows] == [15, 30, 45, 60]
    assert rows[-1].loss < 0.9 * rows[0].loss
    assert all(row.ap50 is not None for row in rows)
    assert list(made.history) == rows
    lines = (tmp_path / "out" / METRICS).read_text().splitlines()
    assert lines[0].startswith("step,epoch,rate,loss")
    assert len(lines) == 5
    model = load_model(made.model)
    assert (model.network.nbase, model.diameter, model.channels) == ((1, 8, 16), 12, 1)
    best = max(rows, key=lambda row: row.ap or 0)
    assert made.best_step == best.step
    assert made.scores is not None
    assert made.scores.ap == pytest.approx(best.ap)
    assert float(model.network.diam_labels) == pytest.approx(np.mean([p.diameter for p in data.train[0].planes()]))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_stopped_anywhere_it_ends_with_the_same_weights(data: Data, tmp_path: Path, precision: Any) -> None:
    """Stopped between two checkpoints, in an epoch, twice."""
    settings = replace(SETTINGS, precision=precision, save_every=2, validate_every=4, deterministic=True)
    run_training(data, tmp_path / "whole", settings)
    with pytest.raises(StopHereError):
        run_training(data, tmp_path / "parts", settings, listener=stop_after(5))
    assert load_state(tmp_path / "parts")[0].step == 4
    with pytest.raises(StopHereError):
        run_training(data, tmp_path / "parts", settings, resume=True, listener=stop_after(7))
    run_training(data, tmp_path / "parts", settings, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "parts")
    assert not torch.are_deterministic_algorithms_enabled()


def test_workers_change_nothing(data: Data, tmp_path: Path) -> None:
    for workers in (1, 2):
        run_training(data, tmp_path / str(workers), replace(SETTINGS, steps=4), workers=workers)
    assert_same(tmp_path / "1", tmp_path / "2")


def test_a_finished_one_taken_up_again_is_as_it_was(data: Data, tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=3)
    made = run_training(data, tmp_path, settings)
    before = made.model.read_bytes()
    again = run_training(data, tmp_path, settings, resume=True, listener=stop_after(1))
    assert again == made
    assert again.model.read_bytes() == before


def test_it_does_not_write_over_another(data: Data, tmp_path: Path) -> None:
    run_training(data, tmp_path, replace(SETTINGS, steps=1))
    with pytest.raises(OutputError, match="holds a training already"):
        run_training(data, tmp_path, SETTINGS)
    with pytest.raises(InputError, match="no training was begun there"):
        run_training(data, tmp_path / "nowhere", SETTINGS, resume=True)


@pytest.mark.parametrize(
    ("change", "told"), [({"rate": 1e-3}, r"settings.rate: 0.005 -> 0.001"), ({"seed": 4}, r"settings.seed: 0 -> 4")]
)
def test_other_settings_are_refused_with_the_difference(
    data: Data, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    run_training(data, tmp_path, replace(SETTINGS, steps=2))
    with pytest.raises(PlanError, match=told):
        run_training(data, tmp_path, replace(SETTINGS, steps=2, **change), resume=True)


def test_other_data_are_refused_with_the_difference(data: Data, tmp_path: Path) -> None:
    run_training(data, tmp_path, replace(SETTINGS, steps=2))
    other = Data([synthetic_images(2, 64, diameter=12, seed=1)], data.validation)
    with pytest.raises(PlanError, match=r"train.1 synthetic.probe: .* -> "):
        run_training(other, tmp_path, replace(SETTINGS, steps=2), resume=True)


def test_a_damaged_checkpoint_is_refused(data: Data, tmp_path: Path) -> None:
    run_training(data, tmp_path, replace(SETTINGS, steps=2))
    place = tmp_path / CHECKPOINT
    place.write_bytes(place.read_bytes()[:-200])
    with pytest.raises(InputError, match="not a training's checkpoint"):
        run_training(data, tmp_path, replace(SETTINGS, steps=2), resume=True)


def test_a_loss_that_is_no_number_names_step_and_sources(data: Data, tmp_path: Path) -> None:
    bright = next(synthetic_images(1, 64, diameter=12).planes())
    source = arrays_source([ArrayPair("bright", bright.image, bright.labels)], name="bright images")

    class Broken:
        name, weight, channels = "broken images", 1.0, 1

        def draw(self, rng: np.random.Generator, augmentation: Any) -> Any:
            crop = source.draw(rng, augmentation)
            return replace(crop, image=crop.image * np.float32(np.nan))

        def planes(self) -> Any:
            return source.planes()

    with pytest.raises(SettingsError, match=r"the loss is nan at step 1, in a batch of .*broken images"):
        run_training(Data([source, Broken()]), tmp_path, SETTINGS)


def test_it_ends_early(tmp_path: Path) -> None:
    """Two looks without a better score: a rate so small that nothing changes."""
    told: list[Event] = []
    data = Data([synthetic_images(1, 64, diameter=12)], [synthetic_images(1, 64, diameter=12, seed=9)])
    settings = replace(SETTINGS, steps=40, epoch=4, patience=2, rate=1e-12, weight_decay=0.0, freeze_norm=True)
    made = run_training(data, tmp_path, settings, listener=told.append)
    assert (made.steps, made.best_step) == (3, 1)
    assert any(isinstance(e, Said) and "ended early" in e.text for e in told)
    again = run_training(data, tmp_path, settings, resume=True, listener=stop_after(4))
    assert (again.steps, again.best_step) == (3, 1)


def test_without_validation_the_last_average_is_kept(data: Data, tmp_path: Path) -> None:
    made = run_training(Data(data.train), tmp_path, replace(SETTINGS, steps=5))
    assert made.scores is None
    assert made.best_step == 5
    assert all(row.ap is None for row in made.history)
    kept = load_state(tmp_path)[1]
    state = load_model(made.model).network.state_dict()
    assert all(torch.equal(state[name], kept[f"average/{name}"]) for name in state)
    with pytest.raises(SettingsError, match="patience counts validations"):
        run_training(Data(data.train), tmp_path / "other", replace(SETTINGS, patience=3))
    with pytest.raises(InputError, match="no training data"):
        run_training(Data([]), tmp_path / "other", SETTINGS)


def test_a_model_is_trained_further(data: Data, tmp_path: Path) -> None:
    first = run_training(Data(data.train), tmp_path / "first", replace(SETTINGS, steps=3))
    plain = TrainingSettings(steps=1, batch=4, crop=32, rate=1e-12, freeze_norm=True, precision="float32", average=0.0)
    more = run_training(Data(data.train), tmp_path / "more", plain, start=first.model)
    one, two = (load_model(made.model).network.state_dict() for made in (first, more))
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one if "num_batches" not in name)


@pytest.mark.parametrize("kind", ["Cellpose-SAM", "Cellpose-DINO"])
def test_a_transformer_is_trained_further(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    if kind == "Cellpose-SAM":
        sam = SamSizes(patch=8, grid=4, width=16, heads=2, hidden=32, neck=8, spans=(7, 3))
        start: nn.Module = CellposeSAM(sam, diam_mean=12)
    else:
        start = CellposeDINO(DinoSizes(width=16, heads=2, hidden=32, blocks=2), diam_mean=12)
    torch.save(start.state_dict(), tmp_path / "start.pt")
    data = Data([synthetic_images(1, 64, diameter=12, channels=2)], [synthetic_images(1, 64, diameter=12)])
    settings = TrainingSettings(steps=8, epoch=8, batch=2, rate=3e-3, precision="float32", crop=32)
    made = run_training(data, tmp_path / "out", settings, start=tmp_path / "start.pt")
    assert load_model(made.model).kind == kind
    assert made.scores is not None
    before, after = (load_model(p).network.state_dict() for p in (tmp_path / "start.pt", made.model))
    same = {"W2", "diam_mean", "encoder.mask_token", "encoder.rope_embed.periods"}
    assert all(torch.equal(before[name], after[name]) for name in same & before.keys())
    assert not torch.equal(before["out.weight"], after["out.weight"])
    assert before.keys() == after.keys()


def test_rows_between_looks_have_the_loss_alone(data: Data, tmp_path: Path) -> None:
    made = run_training(data, tmp_path, replace(SETTINGS, steps=6, epoch=8, validate_every=4))
    assert [(row.step, row.ap is None) for row in made.history] == [(2, True), (4, False), (6, False)]
    assert isinstance(made.history[0], Row)
