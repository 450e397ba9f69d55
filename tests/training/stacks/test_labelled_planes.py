"""Normalised intensities, and the diameter of labelled cells."""

from __future__ import annotations

import numpy as np
import pytest

from bigcell.core.errors import InputError
from bigcell.training.stacks.labelled_planes import mean_diameter, normalised


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
