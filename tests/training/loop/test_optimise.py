"""One step of learning: down the gradient, the same after being put away and taken up again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bigcell.networks.cpnet import CPnet
from bigcell.training.crops.augment_batch import augment_batch
from bigcell.training.loop.optimise import Learner
from bigcell.training.settings import TrainingSettings
from bigcell.training.stacks.labelled_planes import Batch

SETTINGS = TrainingSettings(steps=40, rate=5e-3)


def network() -> CPnet:
    torch.manual_seed(0)
    return CPnet([2, 4, 8])


@pytest.fixture(scope="module")
def batch() -> Batch:
    rng = np.random.default_rng(0)
    image = rng.random((4, 2, 32, 32), np.float32)
    inside = (image[:, 0] > 0.5).astype(np.float32)
    return Batch(image, np.stack([inside, 0 * inside], 1), inside)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_it_learns(batch: Batch, optimizer: str) -> None:
    learner = Learner(network(), replace(SETTINGS, optimizer=optimizer))  # type: ignore[arg-type]
    losses = [learner.learn(batch, step) for step in range(40)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_taken_up_again_it_goes_on_as_if_nothing_had_happened(batch: Batch, optimizer: str, precision: str) -> None:
    settings = replace(SETTINGS, optimizer=optimizer)  # type: ignore[arg-type]
    one, two = (Learner(network(), settings, precision) for _ in range(2))  # type: ignore[arg-type]
    for step in range(3):
        one.learn(batch, step)
    two.restore({name: value.clone() for name, value in one.tensors().items()})
    for step in range(3, 6):
        assert one.learn(batch, step) == two.learn(batch, step)
    found = two.tensors()
    assert all(torch.equal(value, found[name]) for name, value in one.tensors().items())
    assert any(name.startswith("optimiser/0/") for name in found)


def test_what_is_left_to_the_device_is_done_there(batch: Batch) -> None:
    left = replace(batch, seeds=np.arange(4))
    settings = replace(SETTINGS, augmentation=replace(SETTINGS.augmentation, intensity=False))
    learner = Learner(network(), settings)
    disturbed = augment_batch(torch.from_numpy(batch.image), settings.augmentation, [0, 1, 2, 3])
    assert learner.loss(left) == learner.loss(replace(batch, image=disturbed.numpy()))
    assert learner.loss(left) != learner.loss(batch)


def test_a_loss_that_is_no_number_changes_nothing(batch: Batch) -> None:
    learner = Learner(network(), SETTINGS)
    learner.learn(batch, 0)
    before = {name: value.clone() for name, value in learner.tensors().items() if "running" not in name}
    broken = replace(batch, image=np.full_like(batch.image, np.nan))
    assert not np.isfinite(learner.learn(broken, 1))
    after = learner.tensors()
    learned = [n for n in before if "num_batches" not in n]
    assert all(torch.equal(before[name], after[name]) for name in learned)


def test_without_an_average_it_is_the_network(batch: Batch) -> None:
    learner = Learner(network(), replace(SETTINGS, average=0.0))
    for step in range(3):
        learner.learn(batch, step)
    assert all(torch.equal(learner.average[name], value) for name, value in learner.network.state_dict().items())


def test_the_average_lags_behind(batch: Batch) -> None:
    learner = Learner(network(), SETTINGS)
    for step in range(5):
        learner.learn(batch, step)
    assert not torch.equal(learner.average["output.2.weight"], learner.network.state_dict()["output.2.weight"])


def test_frozen_norms_keep_their_statistics(batch: Batch) -> None:
    learner = Learner(network(), replace(SETTINGS, freeze_norm=True))
    learner.learn(batch, 0)
    state = learner.network.state_dict()
    assert all((value == 0).all() for name, value in state.items() if "running_mean" in name)
    moved = Learner(network(), SETTINGS)
    moved.learn(batch, 0)
    assert any((value != 0).any() for name, value in moved.network.state_dict().items() if "running_mean" in name)


def test_only_what_is_known_counts(batch: Batch) -> None:
    known = np.zeros(batch.inside.shape, bool)
    known[:, :16] = True
    half = Batch(batch.image, batch.flows, batch.inside, known)
    other = Batch(batch.image, batch.flows * known[:, None], batch.inside * known, known)
    losses = [float(Learner(network(), SETTINGS).loss(b).detach()) for b in (half, other, batch)]
    assert losses[0] == losses[1] != losses[2]
    everywhere = Batch(batch.image, batch.flows, batch.inside, np.ones_like(known))
    assert float(Learner(network(), SETTINGS).loss(everywhere).detach()) == pytest.approx(losses[2], rel=1e-6)
