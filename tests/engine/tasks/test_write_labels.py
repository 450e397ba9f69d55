from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bigcell.core.axes import Spacing
from bigcell.engine.tasks.write_labels import levels_in_pass, regions
from bigcell.io.labels.destination import check_target
from bigcell.io.labels.label_store import LabelForm, create_labels


@pytest.mark.parametrize("extent", [(700, 900, 600), (90, 700, 700), (1, 9000, 5000)])
def test_regions_are_whole_shards_and_tile_each_level(tmp_path: Path, extent: tuple[int, int, int]) -> None:
    target = check_target(tmp_path / "out.zarr", "cells", image=None, overwrite=False)
    labels = create_labels(target, LabelForm(extent, Spacing(), None, np.uint32))
    assert len(labels.levels) > 1
    for number, level in enumerate(labels.levels):
        grid = regions(labels, number)
        boxes = [grid.core(k) for k in range(len(grid))]
        assert sum(b.size for b in boxes) == np.prod(level.extent)
        for box in boxes:
            assert all(a % s == 0 for a, s in zip(box.start, level.shard, strict=True))
    assert levels_in_pass(labels) >= 2
