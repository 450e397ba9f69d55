"""What Cellpose's preprocessing and size model make of small images: run by make_parity.py in a peer's environment."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
from cellpose import models, transforms

from scripts.parity.cases import OPTIONS, PLANE
from scripts.parity.shapes import image, random_bits


def normalised() -> dict[str, np.ndarray]:
    """Every third number, in raster order, of every option on the image of its shape (seed 5), and of percentile
    normalisation of one plane alone."""
    out = {
        name: transforms.normalize_img(image(shape, 5).astype(np.float32), **options).astype(np.float32).ravel()[::3]
        for name, (shape, options) in OPTIONS.items()
    }
    out["normalize99"] = transforms.normalize99(image(PLANE, 5)[..., 0]).astype(np.float32).ravel()[::3]
    return out


def size_model() -> dict[str, np.ndarray]:
    """Diameters that a size model of random parameters sees in random styles (Cellpose 3.1 only)."""
    params = {"A": 2.0 * (random_bits((256,), 61) - 0.5), "smean": 0.1 * random_bits((256,), 62)}
    params |= {"ymean": np.array(0.2), "diam_mean": np.array(30.0)}
    styles = random_bits((6, 256), 63) - 0.4
    styles /= np.sqrt((styles**2).sum(1, keepdims=True))
    styles[5] = -params["A"] / np.sqrt((params["A"] ** 2).sum())  # seen as smaller than the least that is answered
    model = SimpleNamespace(params=params, diam_mean=params["diam_mean"])
    diameters = [float(models.SizeModel._size_estimation(model, style)) for style in styles]
    return {**params, "styles": styles, "diameters": np.array(diameters)}


def main() -> None:
    what, out = sys.argv[1:]
    np.savez_compressed(out, **{"normalised": normalised, "size": size_model}[what]())


if __name__ == "__main__":
    main()
