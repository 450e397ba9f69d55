from __future__ import annotations

from dataclasses import replace

import numpy as np

from bigcell.core.axes import Spacing
from bigcell.core.volume import ArrayVolume
from bigcell.engine.pipeline.time_estimate import expected_seconds
from bigcell.engine.planning.build import make_plan
from bigcell.engine.planning.request import Request


def test_more_voxels_take_longer_and_a_network_longer_still() -> None:
    image = ArrayVolume(np.zeros((24, 64, 64), np.uint16), Spacing())
    flows = ArrayVolume(np.zeros((4, 24, 64, 64), np.float32), Spacing())
    with_network = make_plan(Request(diameter=17), image, None)
    without = make_plan(Request(), None, flows)
    large = replace(without, extent=(240, 640, 640))
    assert 0 < expected_seconds(without, 1) < expected_seconds(large, 1)
    assert expected_seconds(without, 1) < expected_seconds(with_network, 1) < 600
