from __future__ import annotations

import numpy as np
import pytest

from bigcell.core.errors import InputError, SettingsError
from bigcell.preprocess.normalize import Levels, NormalizeSettings, normalize, settle
from bigcell.preprocess.statistics import ChannelRange


def test_black_becomes_0_and_white_1() -> None:
    image = np.array([100, 150, 300], np.uint16).reshape(1, 1, 1, 3)
    assert normalize(image, [Levels(100, 200)]).ravel().tolist() == [0.0, 0.5, 2.0]


def test_a_nearly_empty_channel_uses_its_maximum() -> None:
    assert settle(ChannelRange(0, 0, 0, 9), "dna") == Levels(0, 9)
    assert settle(ChannelRange(9, 9, 0, 9), "dna") == Levels(0, 9)


def test_a_constant_channel_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="'dna' is 7 everywhere"):
        settle(ChannelRange(7, 7, 7, 7), "dna")


def test_percentiles_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(SettingsError, match="lower < upper"):
        NormalizeSettings(99, 1)
