from __future__ import annotations

import numpy as np
import pytest

from bigcell.core.errors import SettingsError
from bigcell.preprocess.levels import LevelMap
from bigcell.preprocess.normalize import NormalizeSettings, constant, fixed_levels, normalize, settle
from bigcell.preprocess.statistics import Ranges


def ranges(*values: tuple[float, float, float, float]) -> Ranges:
    return Ranges(*np.array(values, np.float64).T)


def test_black_becomes_0_and_white_1() -> None:
    image = np.array([100, 150, 300], np.uint16).reshape(1, 1, 1, 3)
    levels = LevelMap.of_volume(np.array([100.0]), np.array([200.0]))
    assert normalize(image, levels, (0, 0, 0)).ravel().tolist() == [0.0, 0.5, 2.0]
    assert normalize(image, levels, (0, 0, 0), invert=True).ravel().tolist() == [1.0, 0.5, -1.0]
    assert normalize(image, None, (0, 0, 0)).ravel().tolist() == [100, 150, 300]


def test_a_nearly_empty_channel_uses_its_maximum() -> None:
    for measured in ((0, 0, 0, 9), (9, 9, 0, 9)):
        low, high = settle(ranges(measured))
        assert (low.item(), high.item()) == (0, 9)


def test_a_plane_that_is_the_same_all_over_becomes_0() -> None:
    low, high = settle(ranges((5, 5, 5, 5), (1, 3, 0, 4)))
    levels = LevelMap(low.astype("f4")[None, :, None, None], high.astype("f4")[None, :, None, None])
    image = np.array([5, 3], np.uint8).reshape(1, 2, 1, 1)
    assert normalize(image, levels, (0, 0, 0)).ravel().tolist() == [0, 1]
    assert normalize(image, levels, (0, 0, 0), invert=True).ravel().tolist() == [0, 0]


def test_a_channel_that_is_the_same_all_over_is_known() -> None:
    assert constant(ranges((7, 7, 7, 7), (7, 7, 7, 7))) == 7
    assert constant(ranges((7, 7, 7, 7), (8, 8, 8, 8))) is None


def test_lowhigh_is_one_pair_for_all_channels_or_one_each() -> None:
    image = np.full((2, 1, 1, 1), 30, np.uint8)
    for pairs, wanted in ((((10, 20),), [2, 2]), (((10, 20), (20, 40)), [2, 0.5])):
        levels = fixed_levels(NormalizeSettings(lowhigh=pairs), ("a", "b"))
        assert normalize(image, levels, (0, 0, 0)).ravel().tolist() == wanted
    with pytest.raises(SettingsError, match="2 pairs for 3 channels"):
        fixed_levels(NormalizeSettings(lowhigh=((0, 1), (0, 1))), ("a", "b", "c"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"percentile": (99, 1)}, "lower < upper"),
        ({"percentile": (float("nan"), 99)}, "lower < upper"),
        ({"lowhigh": ((5, 5),)}, "darker one first"),
        ({"lowhigh": ((0, float("inf")),)}, "darker one first"),
        ({"sharpen_radius": -1}, "wanted 0"),
        ({"smooth_radius": 1e9}, "wanted 0"),
        ({"smooth_radius": 5, "sharpen_radius": 5}, "two to three times"),
        ({"tile_norm_blocksize": 3}, "16 to 4096"),
        ({"tile_norm_smooth3D": -1}, "tiles"),
        ({"normalize": False, "invert": True}, "normalize is off"),
        ({"lowhigh": ((0, 9),), "smooth_radius": 2}, "leave out either"),
        ({"lowhigh": ((0, 9),), "tile_norm_blocksize": 100}, "leave out either"),
    ],
)
def test_settings_that_cannot_be(wrong: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        NormalizeSettings(**wrong)
