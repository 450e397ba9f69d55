"""Training data: normalised planes of all three views, and crops whose flows are exact."""

from __future__ import annotations

import numpy as np
import pytest

from bigcell.core.errors import InputError
from bigcell.synthetic import sample_volume
from bigcell.training.augment import Augmentation
from bigcell.training.data import (
    draw_batch,
    example_of_plane,
    examples_of_stack,
    mean_diameter,
    normalised,
)


def test_percentiles_go_to_0_and_1_and_a_flat_channel_to_0() -> None:
    image = np.stack([np.arange(10_001.0).reshape(1, -1), np.full((1, 10_001), 7.0)])
    out = normalised(image)
    assert out.dtype == np.float32
    assert out[0, 0, [100, 9900]] == pytest.approx([0, 1])
    assert not out[1].any()


def test_diameter_is_that_of_a_disc_or_a_ball_as_large() -> None:
    y, x = np.mgrid[:41, :41] - 20
    disc = (np.hypot(y, x) < 12).astype(np.int32)
    assert mean_diameter(disc[None]) == pytest.approx(24, abs=0.5)
    z, y, x = np.mgrid[:31, :31, :31] - 15
    assert mean_diameter((np.sqrt(z**2 + y**2 + x**2) < 9) * 50) == pytest.approx(18, abs=0.5)
    with pytest.raises(InputError, match="no cell"):
        mean_diameter(np.zeros((1, 4, 4), np.int32))


def test_a_stack_gives_planes_of_all_views_with_cubic_voxels() -> None:
    made = sample_volume((16, 40, 50), diameter=16, spacing=(2.0, 1.0, 1.0))
    planes = examples_of_stack(made.image, made.labels, anisotropy=2.0, every=4)
    assert [e.labels.shape for e in planes] == [(40, 50)] * 8 + [(32, 50)] * 10 + [(32, 40)] * 12
    assert all(e.image.shape == (2, *e.labels.shape) for e in planes)
    assert len({e.diameter for e in planes}) == 1
    assert planes[0].diameter == pytest.approx(14.5, abs=2.5)
    assert np.array_equal(planes[1].labels, made.labels[3])


def test_one_channel_gets_an_empty_second_and_three_are_refused() -> None:
    made = sample_volume((1, 40, 40), diameter=12)
    (plane,) = examples_of_stack(made.image[:1], made.labels)
    assert plane.image[0].any()
    assert not plane.image[1].any()
    with pytest.raises(InputError, match="3 channels"):
        examples_of_stack(np.zeros((3, 1, 40, 40)), made.labels)


def test_large_cells_are_brought_down() -> None:
    made = sample_volume((1, 200, 200), diameter=60)
    plane = example_of_plane(made.image[:1, 0], made.labels[0])
    assert plane.diameter == 34
    assert mean_diameter(plane.labels[None]) == pytest.approx(34, rel=0.05)


def test_crops_have_cells_of_the_asked_size_and_exact_flows() -> None:
    made = sample_volume((1, 160, 160), diameter=30, seed=2)
    (plane,) = examples_of_stack(made.image, made.labels)
    settings = Augmentation(crop=64, diameter=12, zoom=1.0)
    batch = draw_batch([plane], np.ones(1), settings, 6, np.random.default_rng(0))
    assert batch.image.shape == (6, 2, 64, 64)
    assert batch.flows.shape == (6, 2, 64, 64)
    assert batch.image.dtype == batch.flows.dtype == batch.inside.dtype == np.float32
    size = np.hypot(batch.flows[:, 0], batch.flows[:, 1])
    inside = batch.inside > 0
    assert not size[~inside].any()
    centres = inside & (size == 0)
    assert np.allclose(size[inside & ~centres], 1, atol=1e-5)
    # as many centres as cells of that size fit
    wanted = inside.sum() / (np.pi * (12 / 2) ** 2)
    assert 0.6 * wanted < centres.sum() < 2 * wanted


def test_an_undisturbed_crop_is_a_piece_of_the_image() -> None:
    made = sample_volume((1, 120, 120), diameter=17, seed=2)
    (plane,) = examples_of_stack(made.image, made.labels)
    settings = Augmentation(crop=32, diameter=plane.diameter, zoom=1, drop_nuclei=0, blur=0, long_voxels=0, noise=0)
    batch = draw_batch([plane], np.ones(1), settings, 8, np.random.default_rng(1))
    for image, inside in zip(batch.image, batch.inside, strict=True):
        bright, dark = image[0][inside > 0], image[0][inside == 0]
        if len(bright) > 50 and len(dark) > 50:
            assert bright.mean() > dark.mean() + 0.15


def test_the_same_seed_gives_the_same_crops() -> None:
    made = sample_volume((8, 64, 64), diameter=14)
    planes = examples_of_stack(made.image, made.labels)
    draw = [
        draw_batch(planes, np.ones(len(planes)), Augmentation(crop=32), 3, np.random.default_rng(s)) for s in (4, 4, 5)
    ]
    assert np.array_equal(draw[0].image, draw[1].image)
    assert np.array_equal(draw[0].flows, draw[1].flows)
    assert not np.array_equal(draw[0].image, draw[2].image)


def test_an_example_of_no_weight_never_comes_up() -> None:
    made = sample_volume((1, 64, 64), diameter=14)
    (plane,) = examples_of_stack(made.image, made.labels)
    blank = example_of_plane(np.zeros((1, 64, 64)), made.labels[0])
    settings = Augmentation(crop=32, drop_nuclei=1)
    batch = draw_batch([plane, blank], np.array([0.0, 1.0]), settings, 8, np.random.default_rng(0))
    assert not batch.image.any()
