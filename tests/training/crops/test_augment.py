"""Disturbances: they change the light, never the input, and only when asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array
from bigcell.training.crops.augment import RESCALED, Augmentation, disturb

QUIET = Augmentation(drop_nuclei=0, blur=0, long_voxels=0, noise=0)


@pytest.fixture
def image() -> Array:
    return np.random.default_rng(0).random((2, 40, 48)).astype(np.float32)


@pytest.mark.parametrize("settings", [QUIET, Augmentation(drop_nuclei=1, blur=1, long_voxels=1, noise=1)])
def test_shape_and_type_stay_and_the_input_is_left_alone(image: Array, settings: Augmentation) -> None:
    before = image.copy()
    out = disturb(image, settings, np.random.default_rng(1))
    assert out.shape == image.shape
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert np.array_equal(image, before)
    assert not np.array_equal(out, image)


def test_nuclei_are_left_out(image: Array) -> None:
    out = disturb(image, replace(QUIET, drop_nuclei=1), np.random.default_rng(1))
    assert out[0].any()
    assert not out[1].any()


def test_an_absent_channel_stays_absent(image: Array) -> None:
    image[1] = 0
    assert not disturb(image, replace(QUIET, noise=1), np.random.default_rng(1))[1].any()


def test_light_keeps_the_order_of_grey_levels() -> None:
    ramp = np.linspace(0, 1, 50, dtype=np.float32) * np.ones((2, 3, 50), np.float32)
    for seed in range(5):
        out = disturb(ramp, QUIET, np.random.default_rng(seed))[0, 1]
        assert (np.diff(out) > 0).mean() > 0.9


def test_only_what_may_be_inverted_is() -> None:
    ramp = np.linspace(0, 1, 50, dtype=np.float32) * np.ones((2, 3, 50), np.float32)
    falls = [
        disturb(ramp, QUIET, np.random.default_rng(s), invertible=i)[0, 1, [5, 45]] @ (1, -1) > 0
        for i in (False, True)
        for s in range(20)
    ]
    assert not any(falls[:20])
    assert 4 < sum(falls[20:]) < 16


def test_long_voxels_blur_one_axis_only() -> None:
    image = np.random.default_rng(0).random((1, 96, 96)).astype(np.float32)
    rough = []
    for seed in range(6):
        out = disturb(image, replace(QUIET, long_voxels=1), np.random.default_rng(seed))[0]
        rough.append(sorted((np.abs(np.diff(out, axis=0)).mean(), np.abs(np.diff(out, axis=1)).mean())))
    low, high = np.mean(rough, axis=0)
    assert high > 1.5 * low


def test_nonsense_is_refused() -> None:
    with pytest.raises(SettingsError, match="probabilities"):
        Augmentation(noise=1.5)


def test_fewer_pixels_along_both_axes(image: Array) -> None:
    def rough(settings: Augmentation, axis: int) -> float:
        out = disturb(image, settings, np.random.default_rng(1))
        return float(np.abs(np.diff(out[0], axis=axis)).mean() / out[0].std())

    for axis in (0, 1):
        assert rough(replace(QUIET, coarse=1), axis) < 0.7 * rough(QUIET, axis)


def test_channels_change_places(image: Array) -> None:
    image[1] = 0
    places = {int(disturb(image, replace(QUIET, shuffle=1), np.random.default_rng(s))[0].any()) for s in range(8)}
    assert places == {0, 1}


def test_a_channel_is_rescaled_in_all_and_as_often_as_asked() -> None:
    ramp = np.linspace(0, 1, 50, dtype=np.float32) * np.ones((1, 3, 50), np.float32)

    def span(rescale: float, seed: int) -> float:
        return float(np.ptp(disturb(ramp, replace(QUIET, rescale=rescale), np.random.default_rng(seed))))

    plain, always, sometimes = (np.array([span(r, seed) for seed in range(60)]) for r in (0, 1, 0.5))
    factors = always / plain
    assert RESCALED[0] < factors.min() < 0.3
    assert 2 < factors.max() < RESCALED[1]
    assert 15 < np.isclose(sometimes, plain).sum() < 45
