"""Sources of many images: what they draw, and how little of them is held."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from bigcell.core.volume import ArrayVolume
from bigcell.training.crops.augment import Augmentation
from bigcell.training.crops.batches import Batches
from bigcell.training.data import images
from bigcell.training.data.images import ImageSource, check_images
from bigcell.training.data.pairs import find_pairs
from bigcell.training.stacks.stack import Reading

SMALL = Augmentation(crop=32, diameter=14)


@dataclass(frozen=True)
class Made:
    """An image of discs that is made when it is opened."""

    number: int
    side: int = 192
    labels_at: str | None = None

    @property
    def name(self) -> str:
        return f"virtual {self.number}"

    def open(self) -> tuple[ArrayVolume, ArrayVolume]:
        yy, xx = np.mgrid[: self.side, : self.side].astype(np.float32)
        y, x = yy % 20 - 10, (xx + self.number) % 20 - 10
        disc = y * y + x * x < 64
        ids = ((yy // 20) * 100 + (xx + self.number) // 20 + 1).astype(np.uint16) * disc
        return ArrayVolume((disc * 100 + yy).astype(np.float32)), ArrayVolume(ids)


@dataclass(frozen=True)
class Many(Sequence[Made]):
    """A list of images that holds none."""

    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: Any) -> Any:
        return Made(i)


def virtual(count: int) -> ImageSource:
    return ImageSource("virtual", Many(count), 1.0, 1, 16.0)


def test_images_of_a_folder_are_drawn_equally_often(write_pairs: Any) -> None:
    source = check_images("pairs", find_pairs(write_pairs(3)), Reading())
    assert (source.channels, len(source.items)) == (1, 3)
    assert source.diameter == np.median([plane.diameter for plane in source.planes()])
    crops = [source.draw(np.random.default_rng(seed), SMALL) for seed in range(30)]
    assert all(crop.image.shape == (1, 32, 32) for crop in crops)
    assert np.mean([crop.inside.mean() for crop in crops]) > 0.4
    assert source.held.bytes > 0
    planes = list(source.planes())
    assert len(planes) == 3
    assert [plane.name for plane in planes] == [item.name for item in source.items]
    assert planes[0].image.shape == (1, 64, 72)


def test_a_source_is_sent_without_what_it_holds(write_pairs: Any) -> None:
    source = check_images("pairs", find_pairs(write_pairs(2)), Reading())
    one = source.draw(np.random.default_rng(3), SMALL)
    sent = pickle.loads(pickle.dumps(source))
    assert sent.held.bytes == 0
    two = sent.draw(np.random.default_rng(3), SMALL)
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.flows, two.flows)


def test_an_image_without_cells_is_drawn_at_the_scale_of_the_others() -> None:
    @dataclass(frozen=True)
    class Blank(Made):
        def open(self) -> tuple[ArrayVolume, ArrayVolume]:
            image, labels = Made.open(self)
            return image, ArrayVolume(labels.array * np.uint16(self.number != 1))

    source = check_images("some", [Blank(0, 64), Blank(1, 64)], Reading(empty=True))
    crops = [source.draw(np.random.default_rng(seed), SMALL) for seed in range(12)]
    blank = [not crop.inside.any() for crop in crops]
    assert any(blank)
    assert not all(blank)


def peak(count: int) -> int:
    """Bytes that training on `count` images takes at most: 40 batches of 2."""
    source = virtual(count)
    batches = Batches([source], SMALL, 2, 0)
    batches.batch(0)
    tracemalloc.start()
    for step in range(40):
        batches.batch(step)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_memory_is_flat_between_100_and_10000_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "HELD", 1 << 22)
    few, many = peak(100), peak(10_000)
    assert many < 1.25 * few + (1 << 20)
    assert many < 16 << 20, "80 different images of 0.2 MB, with their targets of 0.3 MB, would be 40"


def test_checking_many_images_holds_one() -> None:
    tracemalloc.start()
    check_images("some", [Made(i, 128) for i in range(5)], Reading())
    few = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    check_images("some", [Made(i, 128) for i in range(100)], Reading())
    many = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert many < 1.2 * few + (1 << 18)
