"""Pictures come back as they went in."""

from __future__ import annotations

from io import BytesIO

import matplotlib.image
import numpy as np
import pytest

from bigcell.report.png import png


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 3), (40, 3, 3)])
def test_another_reader_reads_it(shape: tuple[int, int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    found = matplotlib.image.imread(BytesIO(png(picture)), format="png")
    assert np.array_equal(np.rint(found[..., :3] * 255), picture)


def test_what_is_no_picture_is_refused() -> None:
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="wanted uint8"):
            png(wrong)
