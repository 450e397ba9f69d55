"""Turn, flip and scale a plane and its targets into a crop. Cells that touch do not mix.

A vector is interpolated among those pixels only that belong to the same cell as the pixel it is for, then turned with
the image and brought to unit length.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bigcell.core.volume import Array

SHORTEST = np.float32(0.25)
"""Vectors that cancel to less than this, as they do around a centre, are no direction but 0."""
MAX_SAMPLES = 8
"""Samples along an axis that are averaged for a pixel, at most."""


def warp_image(image: Array, matrix: Array, offset: Array, side: int) -> Array:
    """A crop float32 ``(c, side, side)`` of `image` float32 ``(c, h, w)``: pixel p of it shows `matrix` @ p + `offset`.

    Linear between pixels, 0 beyond half a pixel outside of the image. Where the image shrinks, several samples are
    averaged over the area of a pixel, so that nothing fine is turned into something coarse.
    """
    out = np.zeros((len(image), side, side), np.float32)
    samples = int(np.clip(np.rint(np.linalg.norm(matrix, axis=0).max()), 1, MAX_SAMPLES))
    _warp_image(np.ascontiguousarray(image, np.float32), matrix.astype(float), offset.astype(float), samples, out)
    return out


def warp_words(words: Array, matrix: Array, offset: Array, side: int) -> tuple[Array, Array, Array]:
    """Flows ``(2, side, side)``, inside and known ``(side, side)``: float32, float32, bool, of packed targets.

    `matrix` is a turn, a flip and a scale, alike along both axes. What lies outside of `words` is background, known.
    """
    flows = np.zeros((2, side, side), np.float32)
    inside, known = np.zeros((side, side), np.float32), np.ones((side, side), np.bool_)
    turn = matrix / np.sqrt(abs(np.linalg.det(matrix)))
    _warp_words(
        words.view(np.int64), matrix.astype(float), offset.astype(float), turn.astype(float), flows, inside, known
    )
    return flows, inside, known


@njit(cache=True, nogil=True)
def _warp_image(image, matrix, offset, samples, out):  # type: ignore[no-untyped-def]
    h, w = image.shape[1], image.shape[2]
    share = np.float32(1.0 / (samples * samples))
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            for s in range(samples * samples):
                p = i + (s // samples + 0.5) / samples - 0.5
                q = j + (s % samples + 0.5) / samples - 0.5
                y = matrix[0, 0] * p + matrix[0, 1] * q + offset[0]
                x = matrix[1, 0] * p + matrix[1, 1] * q + offset[1]
                if y < -0.5 or x < -0.5 or y > h - 0.5 or x > w - 0.5:
                    continue
                y, x = min(max(y, 0.0), h - 1.0), min(max(x, 0.0), w - 1.0)
                top, left = min(int(y), max(h - 2, 0)), min(int(x), max(w - 2, 0))
                bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
                v, u = np.float32(y - top), np.float32(x - left)
                for c in range(image.shape[0]):
                    above = image[c, top, left] * (1 - u) + image[c, top, right] * u
                    below = image[c, bottom, left] * (1 - u) + image[c, bottom, right] * u
                    out[c, i, j] += share * (above * (1 - v) + below * v)


@njit(cache=True, nogil=True)
def _warp_words(words, matrix, offset, turn, flows, inside, known):  # type: ignore[no-untyped-def]
    h, w = words.shape
    for i in range(inside.shape[0]):
        for j in range(inside.shape[1]):
            y = matrix[0, 0] * i + matrix[0, 1] * j + offset[0]
            x = matrix[1, 0] * i + matrix[1, 1] * j + offset[1]
            r, k = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
            if r < 0 or k < 0 or r >= h or k >= w:
                continue
            here = words[r, k]
            known[i, j] = (here >> 16) & 1
            if here >> 24 == 0:
                continue
            inside[i, j] = 1
            down, across = _mixed(words, here >> 24, y, x)
            p = turn[0, 0] * down + turn[1, 0] * across  # the turn undone: it leads from the crop to the plane
            q = turn[0, 1] * down + turn[1, 1] * across
            size = np.sqrt(p * p + q * q)
            if size > SHORTEST:
                flows[0, i, j], flows[1, i, j] = p / size, q / size


@njit(cache=True, nogil=True)
def _mixed(words, name, y, x):  # type: ignore[no-untyped-def]
    """The flow of cell `name` at (y, x): the mean of those of the four pixels around that are its own, by nearness."""
    top, left = int(np.floor(y)), int(np.floor(x))
    total, down, across = 0.0, 0.0, 0.0
    for a in range(2):
        for b in range(2):
            r, k = top + a, left + b
            if r < 0 or k < 0 or r >= words.shape[0] or k >= words.shape[1] or words[r, k] >> 24 != name:
                continue
            weight = (1.0 - abs(y - r)) * (1.0 - abs(x - k))
            word = words[r, k]
            down += weight * (((word >> 8) & 255) - 128)
            across += weight * ((word & 255) - 128)
            total += weight
    if total == 0.0:
        return 0.0, 0.0
    return down / (127.0 * total), across / (127.0 * total)
