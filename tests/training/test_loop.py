"""The loop: it learns, it ends, it averages."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from bigcell.core.errors import SettingsError
from bigcell.networks.cpnet import CPnet
from bigcell.testing.synthetic import sample_volume
from bigcell.training.augment import Augmentation
from bigcell.training.data import Batch, draw_batch, examples_of_stack
from bigcell.training.loop import Schedule, fit


@pytest.fixture(scope="module")
def batch() -> Batch:
    made = sample_volume((1, 96, 96), diameter=14)
    planes = examples_of_stack(made.image, made.labels)
    return draw_batch(planes, np.ones(1), Augmentation(crop=48, diameter=14), 4, np.random.default_rng(0))


def fitted(batch: Batch, schedule: Schedule) -> tuple[list[float], dict[str, torch.Tensor], CPnet]:
    torch.manual_seed(0)
    network = CPnet([2, 8, 16, 16])
    *_, last = progress = list(fit(network, itertools.repeat(batch), schedule))
    return [p.loss for p in progress], last.weights, network


@pytest.mark.parametrize("bfloat16", [False, True])
def test_it_learns(batch: Batch, bfloat16: bool) -> None:
    losses, _, _ = fitted(batch, Schedule(80, rate=1e-2, bfloat16=bfloat16))
    assert len(losses) == 80
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.6 * losses[0]


def test_the_same_seed_gives_the_same_weights(batch: Batch) -> None:
    one, two = (fitted(batch, Schedule(3, bfloat16=False))[1] for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_without_averaging_the_weights_are_the_networks(batch: Batch) -> None:
    _, weights, network = fitted(batch, Schedule(4, average=0.0, bfloat16=False))
    for name, value in network.state_dict().items():
        assert torch.allclose(weights[name], value)


def test_the_average_lags_behind_and_loads_into_a_network(batch: Batch) -> None:
    _, weights, network = fitted(batch, Schedule(6, rate=5e-3, bfloat16=False))
    assert not torch.equal(weights["output.2.weight"], network.state_dict()["output.2.weight"])
    CPnet([2, 8, 16, 16]).load_state_dict(weights)


def test_the_rate_rises_and_falls() -> None:
    schedule = Schedule(100, rate=1e-3, warmup=0.1)
    rates = [schedule.rate_at(i / 100) for i in range(101)]
    assert rates[0] < 1e-4
    assert max(rates) == pytest.approx(1e-3)
    assert np.argmax(rates) in (9, 10, 11)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert np.all(np.diff(rates[10:]) <= 0)


def test_a_clock_may_end_it(batch: Batch) -> None:
    network = CPnet([2, 4, 8])
    done = list(fit(network, itertools.repeat(batch), Schedule(1000), behind=lambda step: step / 3))
    assert len(done) == 3


def test_so_may_the_batches(batch: Batch) -> None:
    assert len(list(fit(CPnet([2, 4, 8]), [batch, batch], Schedule(1000)))) == 2


@pytest.mark.parametrize("bad", [{"steps": 0}, {"rate": 0.0}, {"warmup": 1.0}, {"average": 1.0}])
def test_nonsense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match="wanted"):
        Schedule(**{"steps": 5, **bad})  # type: ignore[arg-type]
