from __future__ import annotations

import numpy as np
import pytest

from bigcell.core.errors import SettingsError
from bigcell.stitch.number import SizeSettings, keep_sized, smallest_dtype
from bigcell.stitch.pieces import Pieces


def test_sizes_out_of_limits_are_dropped() -> None:
    three = np.zeros((3, 3), np.int64)
    objects = Pieces(np.array([1, 2, 3]), np.array([14, 15, 99]), three, three, three, three[:, 0])
    assert keep_sized(objects, SizeSettings(15)).name.tolist() == [2, 3]
    assert keep_sized(objects, SizeSettings(0, 20)).name.tolist() == [1, 2]
    with pytest.raises(SettingsError, match="min_size"):
        SizeSettings(20, 10)


def test_ids_take_no_more_room_than_they_need() -> None:
    assert smallest_dtype(2**32 - 1) == np.uint32
    assert smallest_dtype(2**32) == np.uint64
