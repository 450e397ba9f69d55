"""What another microscope might have made of a batch, on the device that trains. Geometry and targets stay as they are.

Each image has a seed of its own, and its random numbers come from the CPU: what becomes of it depends neither on the
device nor on what else is in the batch, so processes that share a batch see together what one would.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor

from bigcell.core.errors import SettingsError
from bigcell.training.crops.augment import RESCALED, Augmentation
from bigcell.training.stacks.labelled_planes import Batch

WIDEST = 8
"""Pixels that a blur reaches on either side."""


def seen_images(batch: Batch, settings: Augmentation, device: torch.device) -> Tensor:
    """The images of `batch` on `device`, disturbed there if that was left to it (`settings.intensity` False)."""
    images = torch.from_numpy(batch.image).to(device)
    return images if batch.seeds is None else augment_batch(images, settings, batch.seeds.tolist())


def augment_batch(images: Tensor, settings: Augmentation, seeds: Sequence[int]) -> Tensor:
    """`images` float32 ``(n, c, h, w)``, about 0 to 1, with other light, contrast, blur, noise and order of channels.

    `seeds`: one for each image. The result is on the device of `images`, which are not changed. What `disturb` does for
    one crop on the CPU, by the same probabilities, but for the swap of light and dark, which it has done already.
    """
    if images.ndim != 4 or not images.is_floating_point():
        raise SettingsError(f"found images {images.dtype} of shape {tuple(images.shape)}; wanted floats (n, c, h, w)")
    if len(seeds) != len(images):
        raise SettingsError(f"{len(seeds)} seeds for {len(images)} images; wanted one each")
    draw = _Draw([Generator().manual_seed(seed) for seed in seeds], images.device)
    images = _without_nuclei(images, settings, draw)
    images = _shuffled(images, settings, draw)
    images = _blurred(images, settings, draw)
    images = _long_voxels(images, settings, draw)
    images = _coarse(images, settings, draw)
    return _relit(images, settings, draw)


class _Draw:
    """Random numbers for each image of a batch, made on the CPU."""

    def __init__(self, generators: Sequence[Generator], device: torch.device) -> None:
        self.generators, self.device = generators, device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """(n, *shape) numbers from `low` to `high`."""
        drawn = torch.stack([torch.rand(shape, generator=g) for g in self.generators])
        return (low + (high - low) * drawn).to(self.device)

    def normal(self, *shape: int) -> Tensor:
        return torch.stack([torch.randn(shape, generator=g) for g in self.generators]).to(self.device)

    def chance(self, probability: float) -> Tensor:
        """(n,) bool: which images."""
        return self.uniform(0, 1) < probability


def _where(chosen: Tensor, changed: Tensor, images: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, 1, 1, 1), changed, images)


def _shuffled(images: Tensor, settings: Augmentation, draw: _Draw) -> Tensor:
    order = draw.uniform(0, 1, images.shape[1]).argsort(1).view(*images.shape[:2], 1, 1)
    return _where(draw.chance(settings.shuffle), images.gather(1, order.expand_as(images)), images)


def _without_nuclei(images: Tensor, settings: Augmentation, draw: _Draw) -> Tensor:
    first = images.clone()
    first[:, 1:] = 0
    return _where(draw.chance(settings.drop_nuclei), first, images)


def _blurred(images: Tensor, settings: Augmentation, draw: _Draw) -> Tensor:
    sigma = draw.uniform(0.3, 1.3)
    return _where(draw.chance(settings.blur), _smooth(_smooth(images, sigma, 2), sigma, 3), images)


def _smooth(images: Tensor, sigma: Tensor, axis: int) -> Tensor:
    """A Gaussian of width `sigma` (n,) along `axis` of each image; the edge goes on."""
    n, c, h, w = images.shape
    at = torch.arange(-WIDEST, WIDEST + 1, device=images.device)
    kernel = torch.exp(-0.5 * (at / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(c, 0)
    ends = (0, 0, WIDEST, WIDEST) if axis == 2 else (WIDEST, WIDEST, 0, 0)
    padded = F.pad(images, ends, mode="replicate").reshape(1, n * c, h + ends[2] * 2, w + ends[0] * 2)
    shape = (n * c, 1, -1, 1) if axis == 2 else (n * c, 1, 1, -1)
    return F.conv2d(padded, kernel.view(shape), groups=n * c).view(n, c, h, w)


def _coarse(images: Tensor, settings: Augmentation, draw: _Draw) -> Tensor:
    """Blurred and sampled at every few pixels along both axes: a camera of fewer pixels."""
    step, width = draw.uniform(1.5, 3.0), draw.uniform(0.3, 0.6)
    coarse = images
    for axis in (2, 3):
        coarse = _sampled(_smooth(coarse, width * step, axis), step, axis)
    return _where(draw.chance(settings.coarse), coarse, images)


def _long_voxels(images: Tensor, settings: Augmentation, draw: _Draw) -> Tensor:
    """Blurred along one axis, sampled at every few pixels only, and interpolated: a stack seen from the side."""
    step, width = draw.uniform(1.5, 5.0), draw.uniform(0.3, 0.6)
    chosen, along_rows = draw.chance(settings.long_voxels), draw.chance(0.5)
    rows, columns = (_sampled(_smooth(images, width * step, axis), step, axis) for axis in (2, 3))
    return _where(chosen, _where(along_rows, rows, columns), images)


def _sampled(images: Tensor, step: Tensor, axis: int) -> Tensor:
    length = images.shape[axis]
    at = torch.arange(length, device=images.device) / step[:, None]
    low = at.floor()
    places = [((low + k) * step[:, None]).clamp(max=length - 1).round().long() for k in (0, 1)]
    shape = (len(images), 1, -1, 1) if axis == 2 else (len(images), 1, 1, -1)
    below, above = (images.gather(axis, place.view(shape).expand_as(images)) for place in places)
    share = (at - low).view(shape)
    return below * (1 - share) + above * share


def _relit(images: Tensor, settings: Augmentation, draw: _Draw) -> Tensor:
    """Another contrast, gamma, slope of light, offset and noise for each channel; an empty channel stays empty."""
    c, h, w = images.shape[1:]
    gamma, gain = draw.uniform(-0.35, 0.35, c, 1, 1).exp(), draw.uniform(-0.5, 0.7, c, 1, 1).exp()
    lit = images.sign() * images.abs() ** gamma
    down, across = (draw.uniform(-0.3, 0.3, c, 1, 1) for _ in range(2))
    y, x = (torch.linspace(-0.5, 0.5, length, device=images.device) for length in (h, w))
    lit = lit * (1 + down * y[:, None] + across * x) * gain
    level, photons = draw.uniform(0, 0.25, c, 1, 1), draw.uniform(0, 1, c, 1, 1)
    amount = level * (lit.clamp(0, 2) * photons + draw.uniform(0.05, 0.5, c, 1, 1)).sqrt()
    lit = _where(draw.chance(settings.noise), lit + amount * draw.normal(c, h, w), lit)
    if settings.rescale:
        factor = draw.uniform(log(RESCALED[0]), log(RESCALED[1]), c, 1, 1).exp()
        lit = _where(draw.chance(settings.rescale), lit * factor, lit)
    lit = lit + draw.uniform(-0.08, 0.08, c, 1, 1)
    return torch.where(images.abs().amax((2, 3), keepdim=True) > 0, lit, images)
