"""The normalised image itself: the same bits for any block grid, and what one pass over the whole would give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.core.volume import ArrayVolume
from bigcell.engine.pipeline.segment import measure
from bigcell.engine.pipeline.stage_runner import Run
from bigcell.engine.planning.plan import Plan
from bigcell.engine.planning.settings import RunSettings
from bigcell.engine.runtime.events import Notice
from bigcell.engine.tasks.intensity import network_image, seen
from bigcell.engine.tasks.job import Job
from bigcell.io.scratch import MemoryScratch
from bigcell.preprocess.normalize import NormalizeSettings
from bigcell.preprocess.sharpen import smooth_sharpen

Zyx = tuple[int, int, int]
EXTENT = (7, 50, 61)
OPTIONS = {
    "default": NormalizeSettings(),
    "percentile": NormalizeSettings(percentile=(3.0, 99.5), invert=True),
    "planes": NormalizeSettings(norm3D=False),
    "tiles": NormalizeSettings(tile_norm_blocksize=20),
    "tiles-planes": NormalizeSettings(tile_norm_blocksize=20, norm3D=False, invert=True),
    "smooth": NormalizeSettings(smooth_radius=1.5),
    "sharpen": NormalizeSettings(sharpen_radius=3.0, smooth_radius=1.0),
    "sharpen-planes": NormalizeSettings(sharpen_radius=2.0, norm3D=False),
    "sharpen-tiles": NormalizeSettings(sharpen_radius=2.0, tile_norm_blocksize=25),
    "lowhigh": NormalizeSettings(lowhigh=((100, 900),), invert=True),
    "lowhigh-each": NormalizeSettings(lowhigh=((100, 900), (0, 50))),
    "as-it-is": NormalizeSettings(normalize=False),
    "grey": NormalizeSettings(grey=True),
}


def image_of(dtype: str, extent: Zyx = EXTENT) -> np.ndarray:
    rng = np.random.default_rng(1)
    image = rng.gamma(2, 200, (2, *extent)) * np.linspace(0.5, 1.5, extent[1])[:, None]
    return image.astype(dtype) if dtype != "uint8" else (image / 8).clip(0, 255).astype(dtype)


def job_of(image: np.ndarray, settings: NormalizeSettings, block: Zyx) -> Job:
    volume = ArrayVolume(image, channels=("cyto", "dna"))
    plan = Plan(volume.extent, Spacing(), volume.channels, str(volume.dtype), RunSettings(block, normalize=settings))
    return Job(plan, volume, None, MemoryScratch())


def normalised(image: np.ndarray, settings: NormalizeSettings, block: Zyx, boxes: Zyx) -> np.ndarray:
    """The whole image as the network would see it, read in `boxes`, after a run's passes over `block`s."""
    run = Run(job_of(image, settings, block))
    measure(run)
    whole = Box.of(run.job.plan.extent)
    out = np.full((1 if settings.grey else 2, *whole.shape), np.nan, np.float32)
    for box in whole.split(boxes):
        out[(slice(None), *box.slices)] = network_image(run.job, box)
    return out


def plain(image: np.ndarray, s: NormalizeSettings) -> np.ndarray:
    """The definition for percentiles of the volume or its planes, with numpy on the whole image."""
    seen = image.astype(np.float64)
    if s.grey:
        seen = seen.mean(0, keepdims=True)
    if s.sharpen_radius or s.smooth_radius:
        seen = smooth_sharpen(seen, sharpen_radius=s.sharpen_radius, smooth_radius=s.smooth_radius).astype(np.float64)
    axes = (1, 2, 3) if s.norm3D else (2, 3)
    low, high = np.percentile(seen, s.percentile, axis=axes, keepdims=True)
    out = (seen - low) / (high - low)
    return 1 - out if s.invert else out


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_normalised_image_is_the_same_for_any_blocks(name: str, dtype: str) -> None:
    image = image_of(dtype)
    whole = normalised(image, OPTIONS[name], EXTENT, EXTENT)
    assert np.isfinite(whole).all()
    for block, boxes in (((3, 20, 17), (4, 33, 20)), ((1, 50, 5), (7, 9, 61))):
        assert np.array_equal(normalised(image, OPTIONS[name], block, boxes), whole)


@pytest.mark.parametrize("name", ["default", "percentile", "planes", "smooth", "sharpen", "sharpen-planes", "grey"])
def test_it_is_what_numpy_makes_of_the_whole(name: str) -> None:
    image = image_of("uint16")
    found = normalised(image, OPTIONS[name], (3, 20, 17), EXTENT)
    np.testing.assert_allclose(found, plain(image, OPTIONS[name]), atol=1e-5)


@pytest.mark.parametrize("name", ["default", "planes", "tiles", "tiles-planes", "sharpen-tiles"])
def test_a_brighter_camera_changes_nothing(name: str) -> None:
    image = image_of("float32")
    found = normalised(image * 1024, OPTIONS[name], (3, 20, 17), EXTENT)
    np.testing.assert_allclose(found, normalised(image, OPTIONS[name], (3, 20, 17), EXTENT), atol=1e-5)


def test_tiles_take_away_a_slope_of_light() -> None:
    light = np.linspace(1, 4, 200)
    image = (np.random.default_rng(0).gamma(2, 300, (1, 3, 80, 200)) * light).astype(np.uint16)
    two = np.concatenate([image, image])
    local = normalised(two, NormalizeSettings(tile_norm_blocksize=40), (3, 80, 90), (3, 80, 200))[0]
    whole = normalised(two, NormalizeSettings(), (3, 80, 90), (3, 80, 200))[0]
    spread = [v.mean((0, 1)).reshape(10, -1).mean(1) for v in (local, whole)]
    assert np.ptp(spread[0]) < 0.25 * np.ptp(spread[1])


def test_empty_planes_count_for_nothing_in_the_levels_of_tiles() -> None:
    image = image_of("uint16")
    padded = np.concatenate([image, np.full_like(image, 9)], axis=1)
    for s in (OPTIONS["tiles"], replace(OPTIONS["tiles"], norm3D=False)):
        found = normalised(padded, s, (3, 20, 17), (14, 50, 61))
        assert np.abs(found[:, :7]).max() < 10
        assert np.abs(found[:, 7:]).max() < 10
    dense = normalised(image, OPTIONS["planes"], (3, 20, 17), EXTENT)
    found = normalised(padded, OPTIONS["planes"], (3, 20, 17), (14, 50, 61))
    assert np.array_equal(found[:, :7], dense)
    assert not found[:, 7:].any()


def test_hardly_any_voxel_is_bright() -> None:
    image = np.zeros((2, *EXTENT), np.uint16)
    image[:, 3, 30, 30] = 50
    for name in ("default", "planes", "tiles", "tiles-planes"):
        found = normalised(image, replace(OPTIONS[name], invert=False), (3, 20, 17), EXTENT)
        assert found.max() == 1, name
        assert found.min() == 0, name


@pytest.mark.parametrize(
    "name", ["default", "percentile", "planes", "tiles", "lowhigh", "as-it-is", "sharpen", "sharpen-tiles", "grey"]
)
def test_nan_is_what_it_counts_as(name: str) -> None:
    image = image_of("float32")
    image[0, 2:4, :, :9] = image[1, 3, 7, 5:20] = np.nan  # 4 voxels of the second are so in the first
    filled, s = np.nan_to_num(image, nan=300), replace(OPTIONS[name], fill_nan=300.0)
    assert np.array_equal(
        normalised(image, s, (3, 20, 17), EXTENT), normalised(filled, OPTIONS[name], (3, 20, 17), EXTENT)
    )
    told: list[object] = []
    measure(Run(job_of(image, s, (3, 20, 17)), listener=told.append))
    assert Notice(f"{2 * 50 * 9 + 11} voxels are NaN and count as 300") in told


@pytest.mark.parametrize("by", ["default", "percentile", "planes", "tiles", "tiles-planes"])
def test_a_constant_channel_is_left_empty(by: str) -> None:
    """The run says so, of what is segmented too; only where no channel shows anything is there nothing to look at."""
    image = image_of("uint16")
    image[1] = 7
    found = normalised(image, OPTIONS[by], (3, 20, 17), EXTENT)
    assert not found[1].any()
    assert np.array_equal(found[0], normalised(image_of("uint16"), OPTIONS[by], EXTENT, EXTENT)[0])
    told: list[object] = []
    measure(Run(job_of(image, OPTIONS[by], EXTENT), listener=told.append))
    assert Notice("channel 'dna' is 7 everywhere; it is taken as empty") in told
    told.clear()
    run = Run(job_of(image[::-1].copy(), OPTIONS[by], EXTENT), listener=told.append)
    measure(run)
    assert Notice("channel 'cyto' is 7 everywhere; it is taken as empty") in told
    assert not run.job.is_blank


@pytest.mark.parametrize("name", ["default", "tiles", "lowhigh", "as-it-is", "sharpen"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_voxel_that_is_no_number_is_named_by_its_place_in_the_volume(name: str, bad: float) -> None:
    image = image_of("float32")
    image[1, 5, 40, 33] = bad
    with pytest.raises(InputError, match=r"at voxel \(5, 40, 33\) \(z, y, x\) of channel 'dna'"):
        normalised(image, OPTIONS[name], (3, 20, 17), (3, 20, 17))


def test_filters_read_a_halo_and_give_the_box_that_was_asked() -> None:
    job = job_of(image_of("uint16"), OPTIONS["sharpen"], EXTENT)
    box = Box((2, 30, 40), (4, 45, 61))
    whole = seen(job, job.whole)
    assert np.array_equal(seen(job, box), whole[(slice(None), *box.slices)])
