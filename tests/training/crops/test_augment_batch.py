"""Augmentation of a batch: follows from the seed, and leaves the image recognisable and its shape alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from bigcell.core.errors import SettingsError
from bigcell.training.crops.augment import Augmentation, disturb
from bigcell.training.crops.augment_batch import _smooth, augment_batch, seen_images
from bigcell.training.crops.batches import Batches
from bigcell.training.crops.source import Crop
from bigcell.training.stacks.labelled_planes import Example

NOTHING = Augmentation(drop_nuclei=0, blur=0, long_voxels=0, noise=0)


@dataclass(frozen=True)
class Noise:
    """A source of random crops."""

    name: str = "noise"
    weight: float = 1.0
    channels: int = 2

    def draw(self, rng: np.random.Generator, augmentation: Augmentation) -> Crop:
        n = augmentation.crop
        return Crop(rng.random((2, n, n), np.float32), np.zeros((2, n, n), np.float32), np.ones((n, n), np.float32))

    def planes(self) -> Iterator[Example]:
        return iter(())


def images(n: int = 4, c: int = 2) -> torch.Tensor:
    yy = torch.arange(64.0)[:, None].expand(64, 48)
    return torch.stack(
        [torch.stack([0.5 + 0.5 * torch.sin((yy + 7 * k) / (3 + i)) for k in range(c)]) for i in range(n)]
    )


def changed(settings: Augmentation, seed: int = 0, given: torch.Tensor | None = None) -> torch.Tensor:
    given = images() if given is None else given
    return augment_batch(given, settings, [100 * seed + i for i in range(len(given))])


def test_the_same_seed_gives_the_same_batch() -> None:
    settings = Augmentation(shuffle=0.5)
    assert torch.equal(changed(settings), changed(settings))
    assert not torch.equal(changed(settings), changed(settings, 1))


def test_an_image_becomes_the_same_in_any_company() -> None:
    settings, given = Augmentation(shuffle=0.5), images()
    whole = augment_batch(given, settings, [5, 6, 7, 8])
    parts = [augment_batch(given[i : i + 2], settings, [5 + i, 6 + i]) for i in (0, 2)]
    assert torch.allclose(whole, torch.cat(parts), atol=1e-6)


def test_batches_that_leave_it_to_the_device() -> None:
    """What `seen_images` gives follows from the number of the batch, also in parts; crops come undisturbed."""
    settings = Augmentation(crop=32, intensity=False)
    batches = Batches([Noise()], settings, 4, 3)
    cpu = torch.device("cpu")
    whole = seen_images(batches.batch(2), settings, cpu)
    parts = [seen_images(batches.batch(2, rank=rank, of=2), settings, cpu) for rank in (0, 1)]
    assert torch.allclose(whole, torch.cat(parts), atol=1e-6)
    assert not torch.allclose(whole, torch.from_numpy(batches.batch(2).image), atol=0.05)
    plain = Batches([Noise()], replace(settings, intensity=True), 4, 3).batch(2)
    assert plain.seeds is None
    assert torch.equal(seen_images(plain, settings, cpu), torch.from_numpy(plain.image))


def test_shapes_stay_and_nothing_is_written_into_the_input() -> None:
    given = images()
    kept = given.clone()
    found = changed(Augmentation(shuffle=1), given=given)
    assert found.shape == given.shape
    assert found.dtype == torch.float32
    assert torch.equal(given, kept)
    assert torch.isfinite(found).all()


def test_each_disturbance_does_what_it_says() -> None:
    """Compared with only the light of the same draw: contrast and slopes are drawn for all."""
    nuclei = changed(replace(NOTHING, drop_nuclei=1))
    assert not nuclei[:, 1:].any()
    assert nuclei[:, :1].any()
    rough = torch.rand(4, 2, 64, 64, generator=torch.Generator().manual_seed(3))
    edges = lambda x: float((x[..., 1:] - x[..., :-1]).abs().mean())  # noqa: E731
    plain = edges(changed(NOTHING, given=rough))
    assert edges(changed(replace(NOTHING, blur=1), given=rough)) < 0.8 * plain
    assert edges(changed(replace(NOTHING, noise=1), given=rough)) > plain
    assert edges(changed(replace(NOTHING, long_voxels=1), given=rough)) < 0.8 * plain
    assert edges(changed(replace(NOTHING, coarse=1), given=rough)) < 0.6 * plain


def test_channels_change_places() -> None:
    given = torch.stack([torch.full((3, 16, 16), value) for value in (0.0, 0.5, 1.0)], 1)
    found = [changed(replace(NOTHING, shuffle=1), seed, given) for seed in range(8)]
    empty = {int(place) for batch in found for place in (batch.abs().amax((2, 3)) == 0).float().argmax(1)}
    assert empty == {0, 1, 2}, "the empty channel stands anywhere"
    kept = [changed(NOTHING, seed, given) for seed in range(8)]
    assert not any(batch[:, 0].any() for batch in kept)


def test_an_empty_channel_stays_empty() -> None:
    given = images()
    given[:, 1] = 0
    assert not changed(Augmentation(), given=given)[:, 1].any()


def test_a_blur_is_a_gaussian() -> None:
    from scipy import ndimage

    image = torch.rand(2, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    found = _smooth(image, torch.tensor([1.0, 1.0]), 2)
    wanted = ndimage.gaussian_filter1d(image.numpy(), 1.0, axis=2, mode="nearest", truncate=8)
    assert np.allclose(found.numpy(), wanted, atol=1e-5)


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(SettingsError, match="2 seeds for 4 images"):
        augment_batch(images(), NOTHING, [1, 2])
    with pytest.raises(SettingsError, match="wanted floats"):
        changed(NOTHING, given=torch.zeros(3, 3, dtype=torch.int32))


def test_intensities_can_be_left_to_the_device() -> None:
    image = np.random.default_rng(0).random((2, 32, 32), np.float32)
    found = disturb(image, Augmentation(intensity=False), np.random.default_rng(0))
    assert np.array_equal(found, image)


def test_channels_are_rescaled_each_on_its_own() -> None:
    given = torch.linspace(0, 1, 48).expand(40, 2, 16, 48)
    spans = [changed(replace(NOTHING, rescale=r), given=given).amax((2, 3)).log2() for r in (0, 1)]
    assert spans[1].std() > 2 * spans[0].std()
    assert not torch.allclose(spans[1][:, 0], spans[1][:, 1], atol=0.1)
