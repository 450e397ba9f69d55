"""What is measured of an image: the same piece by piece as at once."""

from __future__ import annotations

import numpy as np
import pytest

from bigcell.core.box import Box
from bigcell.core.volume import ArrayVolume
from bigcell.synthetic import sample_volume
from bigcell.training.stacks import measure
from bigcell.training.stacks.labelled_planes import mean_diameter, normalised
from bigcell.training.stacks.measure import measure_diameter, measure_levels


@pytest.mark.parametrize("kind", ["u1", "u2", "f4", "i2"])
def test_levels_are_those_of_the_whole_image(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    image = ArrayVolume(np.clip(rng.normal(90, 30, (2, 9, 30, 40)), 0, 255).astype(kind))
    whole = Box.of(image.extent)
    at_once = measure_levels(image, whole, "a")
    monkeypatch.setattr(measure, "SMALL", 0)
    monkeypatch.setattr(measure, "PIECE", (4, 16, 16))
    streamed = measure_levels(image, whole, "a")
    assert np.array_equal(at_once.low, streamed.low)
    assert np.array_equal(at_once.high, streamed.high)
    wanted = np.percentile(image.array.reshape(2, -1), (1, 99), axis=1)
    assert np.allclose([at_once.low.ravel(), at_once.high.ravel()], wanted)


def test_lit_as_examples_are() -> None:
    made = sample_volume((1, 60, 60), diameter=14)
    levels = measure_levels(made.volume, Box.of((1, 60, 60)), "a")
    lit = (made.image - levels.low) / (levels.high - levels.low)
    assert np.allclose(lit, normalised(made.image.astype(np.float32)), atol=1e-4)


def test_the_diameter_is_the_median_of_whole_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sample_volume((30, 60, 60), diameter=14)
    monkeypatch.setattr(measure, "PIECE", (8, 16, 16))
    volume = ArrayVolume(made.labels)
    found, cells = measure_diameter(volume, [Box.of(volume.extent)], anisotropy=1.0, name="a")
    assert cells == made.labels.max()
    assert found == pytest.approx(mean_diameter(made.labels))
    plane = measure_diameter(volume, [Box((9, 0, 0), (10, 60, 60))], anisotropy=3.0, name="a")[0]
    assert plane == pytest.approx(mean_diameter(made.labels[9:10])), "a plane from above knows no long voxels"
    assert np.isnan(measure_diameter(ArrayVolume(made.labels * 0), [Box.of(volume.extent)], anisotropy=1, name="a")[0])
