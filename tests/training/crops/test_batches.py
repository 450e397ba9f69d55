"""Batches: functions of their number, alone, in parts, and ahead of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from bigcell.core.errors import InputError, SettingsError
from bigcell.training.crops.augment import Augmentation
from bigcell.training.crops.batches import Batches
from bigcell.training.crops.source import Crop
from bigcell.training.stacks.labelled_planes import Batch, Example

SETTINGS = Augmentation(crop=16)


@dataclass(frozen=True)
class Noise:
    """A source of random crops."""

    name: str = "noise"
    weight: float = 1.0
    channels: int = 1
    masked: bool = False

    def draw(self, rng: np.random.Generator, augmentation: Augmentation) -> Crop:
        n = augmentation.crop
        image = rng.random((self.channels, n, n), np.float32)
        known = rng.random((n, n)) < 0.5 if self.masked else None
        return Crop(image, np.zeros((2, n, n), np.float32), np.ones((n, n), np.float32), known)

    def planes(self) -> Iterator[Example]:
        return iter(())


def same(one: Batch, two: Batch) -> bool:
    return all(np.array_equal(getattr(one, n), getattr(two, n)) for n in ("image", "flows", "inside"))


def test_a_batch_is_a_function_of_its_number() -> None:
    batches = Batches([Noise()], SETTINGS, 4, 7)
    later = batches.batch(5)
    for step in range(5):
        assert not same(batches.batch(step), later)
    assert same(Batches([Noise()], SETTINGS, 4, 7)[5], later)
    assert not same(Batches([Noise()], SETTINGS, 4, 8)[5], later)
    assert not np.array_equal(later.image[0], later.image[1])


@pytest.mark.parametrize("of", [1, 2, 3, 5])
def test_parts_make_up_the_batch(of: int) -> None:
    batches = Batches([Noise(), Noise("rich", channels=3)], SETTINGS, 5, 0)
    whole = batches.batch(3)
    parts = [batches.batch(3, rank=rank, of=of) for rank in range(of)]
    assert np.array_equal(np.concatenate([p.image for p in parts]), whole.image)
    assert whole.image.shape == (5, 3, 16, 16)


@pytest.mark.parametrize("processes", [False, True])
def test_batches_made_ahead_are_the_same_in_the_same_order(processes: bool) -> None:
    batches = Batches([Noise(), Noise("b", 2.0)], SETTINGS, 3, 0)
    ahead = list(batches.ahead(4, 15, workers=2, processes=processes))
    assert len(ahead) == 11
    assert all(same(batch, batches.batch(step)) for step, batch in enumerate(ahead, start=4))
    part = next(batches.ahead(4, 15, workers=2, rank=1, of=3))
    assert same(part, batches.batch(4, rank=1, of=3))


def test_sources_come_up_by_their_weight() -> None:
    batches = Batches([Noise("a", 1.0), Noise("never", 0.0), Noise("b", 3.0)], SETTINGS, 50, 0)
    names = [name for step in range(40) for name in batches.names(step)]
    assert "never" not in names
    assert names.count("b") / len(names) == pytest.approx(0.75, abs=0.03)


def test_names_are_those_of_the_crops() -> None:
    batches = Batches([Noise("poor"), Noise("rich", channels=2)], SETTINGS, 12, 0)
    rich = [bool(image[1].any()) for image in batches.batch(2).image]
    assert [name == "rich" for name in batches.names(2)] == rich


def test_a_mask_where_any_source_has_one() -> None:
    assert Batches([Noise()], SETTINGS, 3, 0).batch(0).known is None
    batches = Batches([Noise("a"), Noise("b", masked=True)], SETTINGS, 12, 0)
    batch, names = batches.batch(0), batches.names(0)
    assert batch.known is not None
    assert [bool(known.all()) for known in batch.known] == [name == "a" for name in names]


def test_nonsense_is_refused() -> None:
    with pytest.raises(SettingsError, match="weights"):
        Batches([], SETTINGS, 1, 0)
    with pytest.raises(SettingsError, match="weights"):
        Batches([Noise(weight=0)], SETTINGS, 1, 0)
    with pytest.raises(SettingsError, match="at least 1"):
        Batches([Noise()], SETTINGS, 0, 0)
    with pytest.raises(SettingsError, match="part 1 of 3"):
        Batches([Noise()], SETTINGS, 2, 0).batch(0, rank=1, of=3)
    with pytest.raises(InputError, match="rich has 3 channels, the network takes 2"):
        Batches([Noise("rich", channels=3)], SETTINGS, 2, 0, channels=2)


def test_channels_that_a_source_lacks_are_empty() -> None:
    batch = Batches([Noise()], SETTINGS, 2, 0, channels=2).batch(0)
    assert batch.image.shape == (2, 2, 16, 16)
    assert not batch.image[:, 1].any()
