"""From where light comes to where it is seen: blur, haze, the cone out of focus, phase contrast."""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from bigcell.core.volume import Array
from bigcell.synthetic.look import Optics, PhaseContrast


def widths(optics: Optics, step: Array, um: float, planes: int) -> Array:
    """Sigmas of the blur in voxels, z y x, where a voxel is `step` diameters and a diameter is `um` µm."""
    sigma: Array = optics.blur * np.array([optics.blur_z, 1, 1]) / step
    if optics.psf_um is not None:
        sigma = np.array(optics.psf_um) / (step * um)
    sigma[0] *= planes > 1
    return sigma


def scattered(signal: Array, sigma: Array, step: Array, optics: Optics) -> Array:
    """`signal` (z, y, x) float32 with haze and what is out of focus, before the blur by `sigma`."""
    signal = signal.astype(np.float32)
    if optics.haze:
        blur = sigma[2] * step[2] if optics.psf_um is not None else optics.blur
        wide = ndimage.gaussian_filter(signal, sigma * 0.5 / max(blur, 1e-6), truncate=2)
        signal = signal + optics.haze * (wide - signal)
    if optics.cone and len(signal) > 1:
        signal = signal + np.float32(optics.cone) * (out_of_focus(signal, step, optics) - signal)
    return signal


def out_of_focus(signal: Array, step: Array, optics: Optics) -> Array:
    """The light of all planes in each plane: from `d` away it is spread by a Gaussian of sigma ``cone_slope d``, and
    weighs ``exp(-d / cone_depth)``. Weights add up to 1 over the planes there are. float32 (z, y, x).

    The double cone of a geometric point spread function (Gibson and Lanni 1992, without diffraction): sums of Gaussian
    transfer functions over pairs of planes, in Fourier space of y and x.
    """
    planes, *shape = signal.shape
    reach = min(planes - 1, int(np.ceil(3 * optics.cone_depth / step[0])))
    margin = [
        min(n - 1, int(np.ceil(2 * optics.cone_slope * reach * step[0] / s)))
        for n, s in zip(shape, step[1:], strict=True)
    ]
    padded = np.pad(signal, [(0, 0), *((m, m) for m in margin)], mode="reflect")
    size = padded.shape[1:]
    spectrum = fft.rfft2(padded.astype(np.float32))
    ways = (2 * np.pi * fft.fftfreq(size[0]) / step[1], 2 * np.pi * fft.rfftfreq(size[1]) / step[2])
    square = (ways[0][:, None] ** 2 + ways[1] ** 2).astype(np.float32)
    total, weights = np.zeros_like(spectrum), np.zeros(planes, np.float32)
    for k in range(-reach, reach + 1):
        away = abs(k) * step[0]
        weight = np.float32(np.exp(-away / optics.cone_depth))
        here, there = slice(max(0, -k), planes - max(0, k)), slice(max(0, k), planes - max(0, -k))
        total[here] += weight * np.exp(np.float32(-0.5 * (optics.cone_slope * away) ** 2) * square) * spectrum[there]
        weights[here] += weight
    seen = fft.irfft2(total, size)[:, margin[0] : margin[0] + shape[0], margin[1] : margin[1] + shape[1]]
    return np.asarray(seen / weights[:, None, None], np.float32)


def in_phase_contrast(missing: Array, step: Array, phase: PhaseContrast) -> Array:
    """What is added to the even light where `missing` counts are taken by cells: less inside, more in a halo."""
    sigma = phase.width / step * (missing.shape[0] > 1, 1, 1)
    halo = ndimage.gaussian_filter(missing, sigma, truncate=3)
    return np.asarray(np.float32(phase.halo) * halo - missing, np.float32)
