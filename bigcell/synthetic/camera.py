"""What light meets on its way, what else glows, and the camera that counts it."""

from __future__ import annotations

import numpy as np

from bigcell.core.volume import Array
from bigcell.synthetic.look import Backdrop, Camera, Light
from bigcell.synthetic.waves import waves


def way_of_light(
    shape: tuple[int, ...], step: Array, light: Light, rng: np.random.Generator, own: np.random.Generator
) -> Array:
    """The part of the light that arrives, float32, to be multiplied with an image of `shape` (z, y, x).

    `rng` draws what is uneven, `own` everything else, so that a stripe changes nothing but itself.
    """
    arriving = 1 + light.uneven * waves(shape, step, 6.0, rng)
    planes = np.arange(shape[0], dtype=np.float32)[:, None, None]
    if light.attenuation:
        arriving = arriving * np.exp(np.float32(-light.attenuation * step[0]) * planes)
    if light.bleaching:
        arriving = arriving * (1 - np.float32(light.bleaching / max(1, shape[0] - 1)) * planes)
    if light.stripes:
        arriving = arriving * _stripes(shape, step, light, own)
    return np.asarray(arriving, np.float32)


def _stripes(shape: tuple[int, ...], step: Array, light: Light, rng: np.random.Generator) -> Array:
    """Shadows along `stripe_axis`, ``(z, y, 1)`` or ``(z, 1, x)``, which last for a diameter or so along z."""
    across = 1 if light.stripe_axis == "x" else 2
    slow = np.array([step[0] * light.stripe_width, step[across], 1.0])
    dark = np.clip(waves((shape[0], shape[across], 1), slow, light.stripe_width, rng), 0, 1)
    return np.asarray(1 - light.stripes * (dark if across == 1 else dark.swapaxes(1, 2)), np.float32)


def add_debris_into(signal: Array, step: Array, backdrop: Backdrop, brightest: float, rng: np.random.Generator) -> None:
    """Add to `signal` (z, y, x) what glows without being a labelled cell: specks, and blurred cells out of focus."""
    kinds = (
        (backdrop.debris, backdrop.debris_size, backdrop.debris_level),
        (backdrop.glow, backdrop.glow_size, backdrop.glow_level),
    )
    axes = slice(1 if len(signal) == 1 else 0, 3)
    room = float((np.array(signal.shape) * step)[axes].prod()) / (np.pi / 4 if len(signal) == 1 else np.pi / 6)
    for each, size, level in kinds:
        for _ in range(rng.poisson(each * room)):
            sigma = size / 2.4 * np.exp(rng.normal(0, 0.3, 3)) / step
            counts = level * brightest * np.exp(rng.normal(0, 0.4))
            _add_speck_into(signal, rng.random(3) * signal.shape, sigma, counts)


def _add_speck_into(signal: Array, centre: Array, sigma: Array, counts: float) -> None:
    """Add a Gaussian; in a single plane it is centred in it."""
    centre[0] = 0.5 if len(signal) == 1 else centre[0]
    low = np.maximum(np.floor(centre - 3 * sigma), 0).astype(int)
    high = np.minimum(np.ceil(centre + 3 * sigma) + 1, signal.shape).astype(int)
    z, y, x = (
        np.exp(-0.5 * ((np.arange(a, b) + 0.5 - c) / s) ** 2).astype(np.float32)
        for a, b, c, s in zip(low, high, centre, sigma, strict=True)
    )
    part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    signal[part] += np.float32(counts) * z[:, None, None] * y[:, None] * x


def background(shape: tuple[int, ...], step: Array, backdrop: Backdrop, rng: np.random.Generator) -> Array | float:
    """Counts where nothing is: one number, or a slowly changing field."""
    if not backdrop.uneven:
        return backdrop.level
    return np.asarray(backdrop.level * np.maximum(1 + backdrop.uneven * waves(shape, step, 4.0, rng), 0), np.float32)


def recorded(counts: Array, camera: Camera, rng: np.random.Generator, own: np.random.Generator) -> Array:
    """uint16: `counts` as the camera gives them, with the noise of photons (Poisson) and of reading (Gaussian)."""
    counts = np.maximum(counts, 0)
    if camera.noise:
        gain = 4.0 * camera.noise**2  # counts per photon
        counts = rng.poisson(counts / gain) * np.float32(gain)
        counts += rng.standard_normal(counts.shape, dtype=np.float32) * np.float32(8.0 * camera.noise)
    if camera.lines:
        counts = counts + own.normal(0, 8.0 * camera.lines, counts.shape[-1])
    if camera.hot:
        counts = counts + (own.random(counts.shape[1:]) < camera.hot) * own.exponential(800.0, counts.shape[1:])
    return np.asarray(np.clip(np.round(counts), 0, camera.ceiling), np.uint16)
