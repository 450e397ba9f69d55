"""Any labels become an image: what is stained is bright, ids do not matter, bad input is told of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bigcell.core.axes import Spacing
from bigcell.core.errors import InputError
from bigcell.synthetic import MEMBRANE, NUCLEAR, Camera, Look, Optics, Stain, render, sample_volume
from bigcell.synthetic.render import typical_um

GEOMETRY = Path(__file__).parents[2].parent / "shared" / "data" / "geometry"
CLEAR = Look(optics=Optics(blur=0.01), camera=Camera(noise=0))


@pytest.fixture(scope="module")
def cells() -> np.ndarray:
    return sample_volume((16, 48, 48), diameter=14, look=CLEAR).labels


def test_the_same_arguments_give_the_same_voxels(cells: np.ndarray) -> None:
    image = render(cells, (2.0, 1.0, 1.0), seed=3)
    assert image.shape == (2, *cells.shape)
    assert image.dtype == np.uint16
    assert np.array_equal(image, render(cells, Spacing(2.0, 1.0, 1.0), seed=3))
    assert not np.array_equal(image, render(cells, (2.0, 1.0, 1.0), seed=4))


def test_only_the_order_of_ids_matters(cells: np.ndarray) -> None:
    sparse = np.where(cells > 0, cells.astype(np.int64) * 10**10 + 7, 0)
    assert np.array_equal(render(cells), render(sparse))


def test_only_the_voxels_proportions_matter(cells: np.ndarray) -> None:
    assert np.array_equal(render(cells, (2, 1, 1), CLEAR), render(cells, (1, 0.5, 0.5), CLEAR))


def test_a_psf_in_um_does_not_scale(cells: np.ndarray) -> None:
    look = Look(optics=Optics(psf_um=(1.0, 0.5, 0.5)), camera=Camera(noise=0))
    sharp, blurred = (render(cells, (s, s, s), look)[0].astype(float) for s in (1.0, 0.25))
    assert np.abs(np.diff(sharp)).mean() > 1.2 * np.abs(np.diff(blurred)).mean()


def test_membranes_are_bright_at_borders_and_nuclei_in_the_middle(cells: np.ndarray) -> None:
    image = render(cells, look=Look(MEMBRANE, NUCLEAR, Optics(blur=0.01), camera=Camera(noise=0)))
    edge = np.zeros(cells.shape, bool)
    edge[..., 1:] |= (cells[..., 1:] != cells[..., :-1]) & (cells[..., 1:] > 0)
    inside = (cells > 0) & ~edge
    assert image[0][edge].mean() > 1.5 * image[0][inside].mean()
    assert image[1][inside].mean() > 2 * image[1][edge].mean()


def test_given_nuclei_are_taken(cells: np.ndarray) -> None:
    nuclei = np.zeros(cells.shape, np.uint16)
    nuclei[:, :24] = 5
    seen = render(cells, look=CLEAR, nuclei=nuclei)[1].astype(float)
    assert seen[:, :20].mean() > 3 * seen[:, 28:].mean()


def test_a_plane_keeps_its_axes() -> None:
    cells = sample_volume((1, 40, 40), diameter=12).labels[0]
    assert render(cells).shape == (2, 40, 40)
    assert np.array_equal(render(cells), render(cells[None])[:, 0])


def test_cells_differ_in_brightness_as_much_as_asked(cells: np.ndarray) -> None:
    def spread(sigma: float) -> float:
        look = Look(Stain(rim=None, nucleus=1, texture=0, spread=sigma), None, Optics(blur=0), camera=Camera(noise=0))
        image = render(cells, look=look)[0].astype(float)
        means = [image[cells == i].mean() for i in range(1, int(cells.max()) + 1)]
        return float(np.std(np.log(means)))

    assert spread(0.0) < 0.12
    assert 0.3 < spread(0.5) < 0.8


def test_the_typical_size() -> None:
    labels = np.zeros((20, 40, 40), np.uint32)
    z, y, x = np.ogrid[:20, :40, :40]
    labels[(2.0 * (z - 10)) ** 2 + (y - 20.0) ** 2 + (x - 20.0) ** 2 < 64] = 1
    assert typical_um(labels, np.array([2.0, 1.0, 1.0])) == pytest.approx(16, rel=0.05)
    assert typical_um(labels[10:11], np.array([9.0, 1.0, 1.0])) == pytest.approx(16, rel=0.05)


@pytest.mark.parametrize(
    ("labels", "nuclei", "message"),
    [
        (np.zeros((8, 8), int), None, "no cell"),
        (np.ones((8, 8)), None, "float64.*wanted integers"),
        (np.ones(8, int), None, "wanted integers"),
        (np.ones((0, 8), int), None, "wanted integers"),
        (-np.ones((8, 8), int), None, "id -1"),
        (np.ones((8, 8), int), np.ones((8, 9), int), "same voxels"),
        (np.ones((8, 8), int), np.ones((8, 8)), "nuclei are float64"),
    ],
)
def test_bad_labels_are_told_of(labels: np.ndarray, nuclei: np.ndarray | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        render(labels, nuclei=nuclei)


@pytest.mark.data
def test_real_shapes_are_rendered() -> None:
    path = GEOMETRY / "cells_80x224x448" / "labels.tif"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    import tifffile

    labels = tifffile.imread(path)[20:44, 40:136, 100:196]
    cells, nuclei = render(labels, seed=1).astype(float)
    assert cells[labels > 0].mean() > 1.8 * cells[labels == 0].mean()
    assert np.percentile(nuclei[labels > 0], 95) > 3 * np.median(nuclei[labels > 0])
