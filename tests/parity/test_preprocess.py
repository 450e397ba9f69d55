"""Normalised images as Cellpose's `normalize_img` makes them, option by option; where we differ, by how much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bigcell.core.axes import Spacing
from bigcell.core.volume import ArrayVolume
from bigcell.engine.pipeline.segment import measure
from bigcell.engine.pipeline.stage_runner import Run
from bigcell.engine.planning.intensity_options import intensity_settings
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import RunSettings
from bigcell.engine.tasks.intensity import network_image
from bigcell.engine.tasks.job import Job
from bigcell.io.scratch import MemoryScratch
from scripts.parity.cases import OPTIONS
from scripts.parity.shapes import image

SAME = [
    "default", "percentile", "lowhigh", "lowhigh_each", "invert", "stack", "planes", "off",
    "one_tiles", "stack_tiles", "planes_tiles",
]  # fmt: skip
SHIFTED = {"square_smooth": 1, "square_both": 1, "square_sharpen": 0}


def ours(name: str) -> np.ndarray:
    """The image of a case, normalised in blocks: (z, y, x, channel)."""
    shape, options = OPTIONS[name]
    made = np.moveaxis(image(shape, 5), -1, 0)
    volume = ArrayVolume(made if made.ndim == 4 else made[:, None])
    settings = RunSettings((2, 20, 30), normalize=intensity_settings(dict(options)))
    plan = Plan(volume.extent, Spacing(), volume.channels, str(volume.dtype), settings)
    run = Run(Job(plan, volume, None, MemoryScratch()))
    measure(run)
    return np.moveaxis(network_image(run.job, run.job.whole), 0, -1)


@pytest.mark.parametrize("name", SAME)
def test_the_same_numbers(name: str, answers: Any) -> None:
    np.testing.assert_allclose(ours(name).ravel()[::3], answers("normalised")[f"cellpose3/{name}"], atol=2e-5)


def test_percentiles_of_a_small_plane_are_the_same(answers: Any) -> None:
    found = ours("default")[0, ..., 0].ravel()[::3]
    np.testing.assert_allclose(found, answers("normalised")["cellpose3/normalize99"], atol=2e-6)


def test_tiles_of_a_bare_plane_agree_in_its_first_row(answers: Any) -> None:
    """Of an image without a z axis Cellpose takes the levels of the first row for all rows; `eval` never gives one."""
    count = ours("tiles").shape[2] * 2 // 3
    wanted = answers("normalised")["cellpose3/tiles"]
    np.testing.assert_allclose(ours("tiles").ravel()[::3][:count], wanted[:count], atol=2e-5)


@pytest.mark.parametrize("name", SHIFTED)
def test_filters_differ_by_a_shift_of_one_pixel(name: str, answers: Any) -> None:
    """Cellpose's kernels stand one pixel off the centre, so what it smooths has moved by one in y and x.

    Sharpening alone leaves the image in its place and moves the surround. Away from the border, where Cellpose wraps
    the image round; its kernels are also narrower by (n - 1) / (n + 1), n the image's height.
    """
    found, wanted = ours(name)[0, ..., 0], answers("normalised")[f"cellpose3/{name}"]
    places = np.stack(np.unravel_index(np.arange(0, found.size, 3), found.shape))
    inside = ((places > 20) & (places < 44)).all(0)
    moved = {by: np.roll(found, (by, by), (0, 1)).ravel()[::3] for by in (0, 1)}
    error = {by: np.abs(moved[by] - wanted)[inside].mean() for by in (0, 1)}
    assert error[SHIFTED[name]] < 0.015
    assert error[1 - SHIFTED[name]] > 0.1
