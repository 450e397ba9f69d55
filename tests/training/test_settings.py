"""Settings of a training: what they refuse, and the rate from step to step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bigcell.core.errors import SettingsError
from bigcell.core.settings import from_dict, to_dict
from bigcell.training.crops.augment import Augmentation
from bigcell.training.settings import TrainingSettings


def rates(settings: TrainingSettings) -> np.ndarray:
    return np.array([settings.rate_at(step) for step in range(settings.total)])


def test_steps_win_over_epochs() -> None:
    assert TrainingSettings(epochs=3, epoch=100, batch=10).total == 30
    assert TrainingSettings(epochs=3, epoch=100, batch=10, steps=7).total == 7


@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_the_cosine_rises_and_falls(warmup: float) -> None:
    found = rates(TrainingSettings(steps=200, rate=1e-3, warmup=warmup))
    top = int(found.argmax())
    assert found.max() == pytest.approx(1e-3)
    assert abs(top - 200 * warmup) <= 1
    assert (np.diff(found[: top + 1]) >= 0).all()
    assert (np.diff(found[top:]) <= 0).all()
    assert found[-1] < 1e-6
    assert (found > 0).all()


def cellpose(epochs: int) -> np.ndarray:
    """The rates of Cellpose 3 (and 4), epoch by epoch, for a rate of 1."""
    found = np.append(np.linspace(0, 1, 10), np.ones(max(0, epochs - 10)))
    for least, last, each in ((300, 100, 10), (100, 50, 5)):
        if epochs > least:
            found = found[:-last]
            for _ in range(10):
                found = np.append(found, found[-1] / 2 * np.ones(each))
            break
    return found


@pytest.mark.parametrize("epochs", [40, 101, 150, 301, 400])
def test_the_decay_of_cellpose_is_its_own_but_for_the_first_epochs(epochs: int) -> None:
    settings = TrainingSettings(epochs=epochs, epoch=20, batch=10, rate=1, decay="cellpose")
    found = rates(settings).reshape(epochs, 2)
    assert (found[:, 0] == found[:, 1]).all()
    assert np.allclose(found[10:, 0], cellpose(epochs)[10:])
    assert np.allclose(found[:10, 0], np.arange(1, 11) / 10)


def test_they_survive_json() -> None:
    settings = TrainingSettings(width=(4, 8), augmentation=Augmentation(crop=64), patience=3)
    plain: dict[str, Any] = to_dict(settings)
    plain["width"] = list(plain["width"])
    assert from_dict(TrainingSettings, plain) == settings


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0}, {"steps": 0}, {"batch": 0}, {"batch": 2.5}, {"rate": 0.0}, {"rate": float("nan")},
        {"warmup": 1.0}, {"average": 1.0}, {"clip": -1}, {"momentum": 1.5}, {"optimizer": "adam"}, {"decay": "step"},
        {"precision": "float16"}, {"width": (8,)}, {"width": (8, 0)}, {"diameter": 2}, {"crop": 50}, {"patience": -1},
        {"seed": -1}, {"channels": 0}, {"validate_every": 0}, {"batch": True},
    ],
)  # fmt: skip
def test_nonsense_is_refused_by_name(bad: dict[str, Any]) -> None:
    (name,) = bad
    with pytest.raises(SettingsError, match=f"^{name} .*wanted"):
        TrainingSettings(**bad)
