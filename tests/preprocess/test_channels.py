from __future__ import annotations

import numpy as np
import pytest

from bigcell.preprocess.channels import first_bad, grey


def test_grey_is_the_mean_of_the_channels() -> None:
    image = np.random.default_rng(0).integers(0, 2**16, (3, 2, 5, 6)).astype(np.uint16)
    np.testing.assert_allclose(grey(image), image.mean(0, keepdims=True), rtol=1e-6)
    assert grey(image).dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("place", [(0, 0, 0), (2, 63, 71), (1, 17, 3)])
def test_the_first_voxel_that_is_no_number_is_found(bad: float, place: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).random((3, 64, 72))
    assert first_bad(image) is None
    image[place] = bad
    image[2, 63, 71] = np.nan
    assert first_bad(image) == place


def test_integers_are_always_numbers() -> None:
    assert first_bad(np.zeros((2, 3), np.int64)) is None
