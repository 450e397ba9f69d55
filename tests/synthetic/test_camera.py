"""Light on its way, backdrop and camera: each defect does what its number says, and nothing where it is 0."""

from __future__ import annotations

import numpy as np
import pytest

from bigcell.synthetic import Backdrop, Camera, Light
from bigcell.synthetic.camera import add_debris_into, background, recorded, way_of_light

SHAPE, STEP = (20, 40, 50), np.full(3, 0.1)


def arriving(light: Light) -> np.ndarray:
    return way_of_light(SHAPE, STEP, light, np.random.default_rng(0), np.random.default_rng(1))


def test_attenuation_is_by_depth() -> None:
    seen = arriving(Light(uneven=0, attenuation=0.5))
    assert np.allclose(seen[:, 0, 0], np.exp(-0.5 * 0.1 * np.arange(20)), rtol=1e-5)


def test_bleaching_takes_its_part_by_the_last_plane() -> None:
    seen = arriving(Light(uneven=0, bleaching=0.4))
    assert seen[0, 0, 0] == pytest.approx(1)
    assert seen[-1, 0, 0] == pytest.approx(0.6)


@pytest.mark.parametrize(("axis", "along"), [("x", 2), ("y", 1)])
def test_stripes_run_along_their_axis(axis: str, along: int) -> None:
    seen = np.broadcast_to(arriving(Light(uneven=0, stripes=0.8, stripe_axis=axis)), SHAPE)
    assert np.ptp(seen, axis=along).max() == 0
    assert np.ptp(seen, axis=3 - along).min() > 0
    assert 0.2 - 1e-6 <= seen.min() < 0.7
    assert seen.max() == 1


def test_stripes_leave_the_unevenness_where_it_was() -> None:
    plain, striped = arriving(Light(uneven=0.3)), arriving(Light(uneven=0.3, stripes=0.5))
    lit = np.isclose(plain, striped)
    assert 0.2 < lit.mean() < 0.9


def test_a_plane_alone_does_not_bleach() -> None:
    light = Light(uneven=0, bleaching=0.4, attenuation=0.5)
    draws = (np.random.default_rng(0), np.random.default_rng(1))
    assert np.array_equal(way_of_light((1, 4, 4), STEP, light, *draws), np.ones((1, 4, 4)))


@pytest.mark.parametrize("shape", [(20, 40, 50), (1, 200, 200)])
def test_debris_is_as_much_as_asked(shape: tuple[int, int, int]) -> None:
    def light(each: float) -> float:
        signal = np.zeros(shape, np.float32)
        backdrop = Backdrop(debris=each, debris_size=0.3, debris_level=0.5)
        add_debris_into(signal, STEP, backdrop, 100.0, np.random.default_rng(2))
        assert signal.min() >= 0
        return float(signal.sum())

    assert light(0.0) == 0
    assert 1.4 < light(4.0) / light(2.0) < 2.8


def test_glow_is_wider_than_debris() -> None:
    wide, small = (np.zeros((1, 200, 200), np.float32) for _ in range(2))
    add_debris_into(wide, STEP, Backdrop(glow=0.02, glow_size=2), 100.0, np.random.default_rng(3))
    add_debris_into(small, STEP, Backdrop(debris=0.02, debris_size=0.2), 100.0, np.random.default_rng(3))
    assert (wide > 1).sum() > 10 * (small > 1).sum() > 0


def test_the_background_is_even_or_not() -> None:
    assert background(SHAPE, STEP, Backdrop(level=70), np.random.default_rng(0)) == 70
    uneven = np.asarray(background(SHAPE, STEP, Backdrop(level=70, uneven=0.5), np.random.default_rng(0)))
    assert uneven.shape == SHAPE
    assert 30 < uneven.mean() < 110
    assert uneven.std() > 3


def seen(camera: Camera, counts: float = 1000.0) -> np.ndarray:
    even = np.full((4, 60, 60), counts, np.float32)
    return recorded(even, camera, np.random.default_rng(4), np.random.default_rng(5)).astype(float)


def test_noise_is_of_photons_and_of_reading() -> None:
    for noise, counts in ((1.0, 1000.0), (3.0, 200.0)):
        made = seen(Camera(noise), counts)
        assert made.mean() == pytest.approx(counts, rel=0.02)
        assert made.var() == pytest.approx(4 * noise**2 * counts + (8 * noise) ** 2, rel=0.1)
    assert set(np.unique(seen(Camera(noise=0)))) == {1000}


def test_columns_hot_pixels_and_the_ceiling() -> None:
    lined = seen(Camera(noise=0, lines=1.0))
    assert np.ptp(lined, axis=(0, 1)).max() == 0
    assert 4 < lined[0, 0].std() < 12
    hot = seen(Camera(noise=0, hot=0.01))
    assert 0.003 < (hot > 1000).mean() < 0.03
    assert np.array_equal(hot[0] > 1000, hot[3] > 1000)
    assert seen(Camera(ceiling=900)).max() == 900
