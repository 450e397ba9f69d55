"""What else the same cells could have looked like: light, contrast, blur, long voxels, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bigcell.core.errors import SettingsError
from bigcell.core.volume import Array

RESCALED = (0.2, 3.0)
"""From what to what a channel is multiplied where it is rescaled; each factor as likely as any other."""


@dataclass(frozen=True)
class Augmentation:
    """How crops vary. `crop` in pixels; `diameter` is that of the cells in a crop, times or divided by up to `zoom`.
    The rest are probabilities: crop centred on a cell, nuclei channel left out, blur, blur and coarse sampling along
    one axis (views along z of a stack), noise, another order of channels, blur and coarse sampling along both axes
    (fewer pixels), and `rescale`: a channel much darker or brighter in all, as where something in the image is far
    brighter than its cells, or nearly nothing of it is a cell (black and white are percentiles of the whole image).

    `intensity` False: light, blur, noise and channels are left to the device that trains, where `seen_images` makes
    them of a batch."""

    crop: int = 128
    diameter: float = 17.0
    zoom: float = 1.45
    on_cells: float = 0.8
    drop_nuclei: float = 0.5
    blur: float = 0.3
    long_voxels: float = 0.25
    noise: float = 0.5
    shuffle: float = 0.0
    coarse: float = 0.0
    rescale: float = 0.0
    intensity: bool = True

    def __post_init__(self) -> None:
        light = (self.drop_nuclei, self.blur, self.long_voxels, self.noise, self.shuffle, self.coarse, self.rescale)
        if not all(0 <= p <= 1 for p in (self.on_cells, *light)) or self.zoom < 1 or self.crop < 16:
            raise SettingsError(f"{self}: wanted probabilities from 0 to 1, zoom from 1, crop from 16")


def disturb(image: Array, settings: Augmentation, rng: np.random.Generator, *, invertible: bool = False) -> Array:
    """`image` float32 ``(channel, y, x)``, about 0 to 1, as another microscope might have given it."""
    image = image.copy()
    if invertible and rng.random() < 0.5:
        image[0] = 1 - image[0]
    if not settings.intensity:
        return image
    if rng.random() < settings.drop_nuclei:
        image[1:] = 0
    if settings.shuffle and rng.random() < settings.shuffle:
        image = image[rng.permutation(len(image))]
    if rng.random() < settings.blur:
        image = ndimage.gaussian_filter(image, (0, *(rng.uniform(0.3, 1.3),) * 2))
    if rng.random() < settings.long_voxels:
        image = _sampled(image, int(rng.integers(1, 3)), rng.uniform(1.5, 5.0), rng)
    if settings.coarse and rng.random() < settings.coarse:
        step = rng.uniform(1.5, 3.0)
        image = _sampled(_sampled(image, 1, step, rng), 2, step, rng)
    for channel in image:
        if channel.any():
            channel[...] = _relight(channel, settings, rng)
    return image.astype(np.float32)


def _sampled(image: Array, axis: int, step: float, rng: np.random.Generator) -> Array:
    """Blurred along `axis`, sampled at every `step` pixels only, and interpolated: a stack seen from the side."""
    image = ndimage.gaussian_filter1d(image, rng.uniform(0.3, 0.6) * step, axis=axis)
    n = image.shape[axis]
    coarse = np.minimum(np.arange(0, n + step, step), n - 1).astype(int)
    at = np.minimum(np.arange(n) / step, len(coarse) - 1.001)
    low = at.astype(int)
    shape = [1, 1, 1]
    shape[axis] = n
    w = (at - low).astype(np.float32).reshape(shape)
    mixed: Array = image.take(coarse[low], axis) * (1 - w) + image.take(coarse[low + 1], axis) * w
    return mixed


def _relight(channel: Array, settings: Augmentation, rng: np.random.Generator) -> Array:
    """Another contrast, gamma, slope of light, offset and noise."""
    gamma = np.exp(rng.uniform(-0.35, 0.35))
    channel = np.sign(channel) * np.abs(channel) ** gamma
    slope = rng.uniform(-0.3, 0.3, 2)
    y, x = (np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in channel.shape)
    channel = channel * (1 + slope[0] * y[:, None] + slope[1] * x) * np.exp(rng.uniform(-0.5, 0.7))
    if rng.random() < settings.noise:
        level = rng.uniform(0, 0.25)
        amount = level * np.sqrt(np.clip(channel, 0, 2) * rng.uniform(0, 1) + rng.uniform(0.05, 0.5))
        channel = channel + amount * rng.standard_normal(channel.shape)
    if settings.rescale and rng.random() < settings.rescale:
        channel = channel * np.exp(rng.uniform(*np.log(RESCALED)))
    return np.asarray(channel + rng.uniform(-0.08, 0.08), np.float32)
