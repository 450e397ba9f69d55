"""Optics: light is kept, spreads as far as asked, and the way through Fourier space equals the plain one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from bigcell.synthetic import Optics, PhaseContrast
from bigcell.synthetic.lens import in_phase_contrast, out_of_focus, scattered, widths

STEP = np.array([0.2, 0.05, 0.05])


def point(shape: tuple[int, int, int] = (21, 64, 64)) -> np.ndarray:
    signal = np.zeros(shape, np.float32)
    signal[10, 32, 32] = 1000
    return signal


def test_the_cone_equals_a_sum_of_blurred_planes() -> None:
    signal = np.random.default_rng(0).random((7, 40, 48)).astype(np.float32)
    optics = Optics(cone=1, cone_slope=0.25, cone_depth=0.3)
    plain, weights = np.zeros(signal.shape), np.zeros(7)
    for z in range(7):
        for other in range(7):
            away = abs(z - other) * STEP[0]
            weight = np.exp(-away / optics.cone_depth) if abs(z - other) <= np.ceil(0.9 / STEP[0]) else 0
            sigma = optics.cone_slope * away / STEP[1:]
            plain[z] += weight * ndimage.gaussian_filter(signal[other].astype(float), sigma, mode="mirror", truncate=6)
            weights[z] += weight
    plain /= weights[:, None, None]
    inner = (slice(None), slice(12, -12), slice(12, -12))
    assert np.abs(out_of_focus(signal, STEP, optics) - plain)[inner].max() < 2e-3


def test_the_cone_widens_with_depth_and_keeps_the_light() -> None:
    seen = out_of_focus(point(), STEP, Optics(cone=1, cone_slope=0.4, cone_depth=2.0))
    y = np.arange(64) - 32
    spread = [np.sqrt((seen[z].sum(0) * y**2).sum() / seen[z].sum()) for z in (10, 12, 14)]
    assert spread[0] < 0.2
    assert spread[1] == pytest.approx(0.4 * 2 * 0.2 / 0.05, rel=0.05)
    assert spread[2] == pytest.approx(2 * spread[1], rel=0.05)
    even = out_of_focus(np.full((5, 32, 32), 7, np.float32), STEP, Optics(cone=1))
    assert np.allclose(even, 7, rtol=1e-4)


def test_a_plane_alone_has_no_cone() -> None:
    plane = np.random.default_rng(1).random((1, 20, 20)).astype(np.float32)
    optics = Optics(cone=0.5)
    assert np.array_equal(scattered(plane, widths(optics, STEP, 10.0, 1), STEP, optics), plane)


def test_haze_is_half_a_cell_wide() -> None:
    optics = Optics(haze=1.0)
    step = np.full(3, 0.05)
    seen = scattered(point((21, 101, 101)), widths(optics, step, 10.0, 21), step, optics)
    assert (seen[10, 32] > 0.3 * seen[10].max()).sum() * 0.05 > 0.7


def test_widths_in_um_and_in_diameters() -> None:
    assert np.allclose(widths(Optics(blur=0.1, blur_z=3), STEP, 10.0, 5), [1.5, 2, 2])
    assert np.allclose(widths(Optics(psf_um=(1.0, 0.5, 0.25)), STEP, 10.0, 5), [0.5, 1, 0.5])
    assert widths(Optics(psf_um=(1.0, 0.5, 0.25)), STEP, 10.0, 1)[0] == 0


def test_phase_contrast_is_dark_inside_and_bright_around() -> None:
    missing = np.zeros((1, 60, 60), np.float32)
    missing[0, 25:35, 25:35] = 100
    seen = in_phase_contrast(missing, STEP, PhaseContrast(halo=1.0, width=0.2))
    assert seen[0, 30, 30] < -30
    assert seen[0, 30, 37] > 10
    assert abs(seen.sum()) < 0.02 * missing.sum()
    assert abs(seen[0, 2, 2]) < 0.1
