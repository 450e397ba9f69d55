"""Crops of stacks: from all views, the same from the same numbers, and of nothing that is not annotated."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.volume import Array, ArrayVolume
from bigcell.dynamics.masks import masks_from_flows
from bigcell.flows.from_labels import unit_flows
from bigcell.preprocess.levels import LevelMap
from bigcell.synthetic import sample_volume
from bigcell.training.crops.augment import Augmentation
from bigcell.training.crops.sampling import Tiles, _words, draw_crop
from bigcell.training.crops.source import Crop
from bigcell.training.crops.targets import unpacked
from bigcell.training.data.split import SplitSettings, split_box
from bigcell.training.stacks.labelled_planes import mean_diameter, normalised
from bigcell.training.stacks.planes import example_planes
from bigcell.training.stacks.stack import Reading, Stack, make_stack, restricted

PLAIN = Augmentation(crop=48, diameter=12, zoom=1.2, drop_nuclei=0, intensity=False)


@dataclass(frozen=True)
class Heard:
    """A volume that remembers what was read of it."""

    volume: ArrayVolume
    boxes: list[Box] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.volume, name)

    def read(self, box: Box) -> Array:
        self.boxes.append(box)
        return self.volume.read(box)


@cache
def made(z: float = 1.0) -> Any:
    return sample_volume((int(48 / z), 60, 70), diameter=14, spacing=(z, 1, 1), seed=4)


def stack_of(sample: Any, **more: Any) -> Stack:
    labels = ArrayVolume(sample.labels, spacing=sample.spacing)
    return make_stack("a", sample.volume, labels, more.pop("reading", Reading()), **more)


def draw(stack: Stack, seed: int, augmentation: Augmentation = PLAIN, tiles: Tiles | None = None) -> Crop:
    return draw_crop(stack, tiles or Tiles(1 << 26), np.random.default_rng(seed), augmentation)


@pytest.mark.parametrize(
    ("units", "anisotropy"), [(("um",) * 3, 3.0), (("",) * 3, 3.0), (("pixel",) * 3, 3.0), (("", "um", "um"), 1.0)]
)
def test_the_ratio_of_sizes_needs_one_unit_and_no_known_one(units: tuple[str, ...], anisotropy: float) -> None:
    sample = made(3.0)
    image = ArrayVolume(sample.image, Spacing.measured((3.0, 1.0, 1.0), units))
    assert make_stack("a", image, ArrayVolume(sample.labels), Reading()).anisotropy == anisotropy


@pytest.mark.parametrize("z", [1.0, 3.0])
def test_a_crop_shows_cells_of_the_asked_size_in_their_place(z: float) -> None:
    stack = stack_of(made(z))
    assert stack.anisotropy == z
    assert stack.diameter == pytest.approx(mean_diameter(made(z).labels) * z ** (1 / 3), rel=1e-3)
    bright, dark, sizes = [], [], []
    for seed in range(40):
        crop = draw(stack, seed)
        assert crop.image.shape == (2, 48, 48)
        assert crop.known is None
        assert not crop.flows[:, crop.inside == 0].any()
        inside = crop.inside > 0
        if 100 < inside.sum() < 2000:
            bright.append(crop.image[0][inside].mean())
            dark.append(crop.image[0][~inside].mean())
        found = masks_from_flows(5 * crop.flows, 20 * crop.inside - 10, niter=100)
        whole = np.setdiff1d(found, np.concatenate([found[[0, -1]].ravel(), found[:, [0, -1]].ravel(), [0]]))
        sizes += np.bincount(found.ravel())[whole].tolist()
    assert np.mean(np.array(bright) > np.array(dark)) > 0.95, "image and labels lie on each other"
    typical = 2 * np.sqrt(np.median(sizes) / np.pi)
    assert 9 < typical < 14, "whole cells in crops, by following the flows; sections of balls are smaller than balls"


def test_the_same_numbers_give_the_same_crop_whatever_is_held() -> None:
    stack, warm = stack_of(made()), Tiles(1 << 26)
    noisy = Augmentation(crop=32, diameter=12)
    for seed in range(6):
        one, two = draw(stack, seed, noisy, warm), draw(stack, seed, noisy, Tiles(0))
        assert np.array_equal(one.image, two.image)
        assert np.array_equal(one.flows, two.flows)
    assert not np.array_equal(draw(stack, 0, noisy).image, draw(stack, 1, noisy).image)


def test_a_large_plane_in_tiles_gives_the_same_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where on_cells looks for a cell depends on the tiles."""
    stack = stack_of(made())
    anywhere = replace(PLAIN, on_cells=0.0)
    whole = [draw(stack, seed, anywhere) for seed in range(8)]
    monkeypatch.setattr("bigcell.training.crops.sampling.WHOLE", 0)
    monkeypatch.setattr("bigcell.training.crops.sampling.TILE", 16)
    for seed, crop in enumerate(whole):
        tiled = draw(stack, seed, anywhere)
        assert np.array_equal(tiled.image, crop.image)
        assert np.abs(tiled.flows - crop.flows).max() < 1e-5


def test_only_boxes_are_known() -> None:
    sample = made()
    box = Box((10, 5, 8), (11, 55, 60))
    lies = sample.labels.copy()
    lies[:10], lies[11:], lies[:, :5], lies[:, 55:], lies[..., :8], lies[..., 60:] = 0, 0, 0, 0, 0, 0
    labels = Heard(ArrayVolume(lies))
    stack = make_stack("a", sample.volume, labels, Reading(), boxes=[box])  # type: ignore[arg-type]
    full = stack_of(sample, boxes=[box])
    shares = []
    for seed in range(20):
        crop, same = draw(stack, seed), draw(full, seed)
        assert crop.known is not None
        assert np.array_equal(crop.flows, same.flows), "labels outside of the box change nothing"
        assert not crop.inside[~crop.known].any()
        assert not crop.flows[:, ~crop.known].any()
        shares.append(crop.known.mean())
    assert 0.2 < np.mean(shares) < 0.9
    assert all(read in box for read in labels.boxes)


@settings(max_examples=25)
@given(
    st.sampled_from("zyx"),
    st.floats(0.05, 0.3),
    st.integers(14, 20),
    st.integers(0, 1000),
    st.sampled_from([1.0, 3.0]),
)
def test_no_crop_of_training_touches_the_slab_of_validation(
    axis: str, part: float, gap: int, seed: int, z: float
) -> None:
    whole = stack_of(made(z))
    gap = gap if axis != "z" or z == 1 else 6
    split = SplitSettings(part, gap=gap, axis=axis)
    train, slab = split_box(whole.image.extent, split, diameter=whole.diameter, anisotropy=z)
    assert slab is not None
    image, labels = Heard(made(z).volume), Heard(ArrayVolume(made(z).labels))
    stack = restricted(replace(whole, image=image, labels=labels), train, "a")
    for more in range(4):
        draw(stack, seed + more)
    reach = slab.grow(tuple(gap if a == axis else 0 for a in "zyx"))
    for box in image.boxes + labels.boxes:
        assert (box & reach).is_empty
        assert box in train


def test_whole_planes_are_those_of_a_stack() -> None:
    sample = made(3.0)
    stack = stack_of(sample)
    planes = list(example_planes(stack, 3))
    assert len(planes) == 9
    again = list(example_planes(stack, 3))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(planes, again, strict=True))
    z, y, x = sample.labels.shape
    shapes = {(y, x), (3 * z, x), (3 * z, y)}
    for plane in planes:
        assert plane.labels.shape in shapes
        assert plane.image.shape == (2, *plane.labels.shape)
        assert plane.labels.dtype == np.int32
        assert plane.diameter == pytest.approx(mean_diameter(sample.labels) * 3 ** (1 / 3))
    assert np.allclose(planes[0].image, normalised(sample.image)[:, 2], atol=1e-3)
    assert np.array_equal(planes[0].labels > 0, sample.labels[2] > 0)
    side = planes[3]  # row 4 shows the middle of voxel 1
    y = 60 // 6
    assert np.allclose(side.image[:, 4], normalised(sample.image)[:, 1, y], atol=1e-3)
    assert np.array_equal(side.labels > 0, np.repeat(sample.labels[:, y] > 0, 3, axis=0))


@pytest.mark.parametrize("axis", [1, 2])
def test_targets_of_long_voxels_are_those_of_cubic_pixels(axis: int) -> None:
    """A voxel three times as long is three rows, so the heat spreads as it does in the tissue."""
    stack = stack_of(made(3.0))
    (view,) = (v for v in stack.views(stack.boxes[0]) if v.axis == axis)
    words = _words(stack, Tiles(1 << 26), view, 31, Box.of(view.shape))
    cubic = np.repeat(made(3.0).labels.take(31, axis), 3, axis=0).astype(np.int64)
    labels, flows, known = unpacked(words)
    assert np.array_equal(labels, cubic)
    assert known.all()
    assert np.abs(flows - unit_flows(cubic[None])[1:, 0]).max() < 0.01


@dataclass(frozen=True)
class Endless:
    """Balls on a lattice, or their ids, in a volume of 10^15 voxels that is made when it is read."""

    ids: bool
    extent: tuple[int, int, int] = (100_000, 100_000, 100_000)
    channels: tuple[str, ...] = ("0",)
    spacing: Spacing = field(default_factory=Spacing)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint64 if self.ids else np.float32)

    def read(self, box: Box) -> Array:
        assert box.size < 1 << 21
        places = np.ogrid[box.slices]
        near = sum((p % 20 - 10) ** 2 for p in places) < 81
        which = sum((p // 20) * step for p, step in zip(places, (5000 * 5000, 5000, 1), strict=True)) + 1
        values = which * near if self.ids else near * 100.0
        return np.asarray(values, self.dtype)[None]


def test_memory_does_not_grow_with_the_volume() -> None:
    levels = LevelMap.of_volume(np.zeros(1), np.full(1, 100.0))
    whole = Box.of(Endless(True).extent)
    stack = Stack("endless", Endless(False), Endless(True), levels, 18.0, (whole,), whole, 1)
    tiles = Tiles(1 << 24)
    tracemalloc.start()
    crops = [draw(stack, seed, PLAIN, tiles) for seed in range(12)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20
    assert tiles.bytes <= 1 << 24
    for crop in crops:
        assert crop.inside.any()
        assert crop.image[0][crop.inside > 0].mean() > 0.8
        assert crop.image[0][crop.inside == 0].mean() < 0.2
