"""Samples: packed, exact, the same every time, and the same as ever."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from bigcell.core.errors import SettingsError
from bigcell.synthetic import (
    MEMBRANE,
    NUCLEAR,
    Camera,
    Look,
    Optics,
    Spindles,
    Stain,
    Tissue,
    look_of,
    sample_volume,
    tissue_of,
)

LABELS = (45, "3c699af81ce373af", "e115857f8ca849eb")
MEANS = (449.26, 175.83)
FLAT = Look(Stain(rim=None), None, camera=Camera(noise=0))


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def test_the_order_of_draws_does_not_change() -> None:
    """Many tests and trained models stand on these voxels. Labels to the bit; counts by their mean, since the last bit
    of a float may differ between machines, and with it the noise."""
    made = sample_volume((12, 40, 44), diameter=14, spacing=(2.0, 1.0, 1.0), seed=5)
    assert (int(made.labels.max()), digest(made.labels), digest(made.nuclei)) == LABELS
    assert np.allclose(made.image.mean((1, 2, 3)), MEANS, rtol=2e-3)


def test_a_channel_left_out_changes_no_other() -> None:
    both = sample_volume((1, 40, 40), look=Look(camera=Camera(0)))
    cells = sample_volume((1, 40, 40), look=Look(nuclei=None, camera=Camera(0)))
    assert both.channels == ("cells", "nuclei")
    assert cells.channels == ("cells",)
    assert np.array_equal(both.image[:1], cells.image)


def test_a_new_defect_leaves_cells_and_noise_where_they_were() -> None:
    plain = sample_volume((1, 48, 48), look=look_of("membrane"))
    hot = sample_volume((1, 48, 48), look=Look(MEMBRANE, camera=Camera(hot=0.01)))
    assert np.array_equal(plain.labels, hot.labels)
    assert 0 < (plain.image != hot.image).mean() < 0.05


def test_patches_are_dense_and_sparse() -> None:
    def spread(patchy: float) -> float:
        made = sample_volume((1, 240, 240), diameter=8, tissue=Tissue(filled=0.5, patchy=patchy), look=FLAT)
        parts = (made.labels[0] > 0).reshape(6, 40, 6, 40).mean((1, 3))
        return float(parts.std())

    assert spread(1.0) > 1.5 * spread(0.0)


def test_density_is_the_part_of_the_sites() -> None:
    counts = [
        sample_volume((1, 160, 160), diameter=10, tissue=Tissue(filled=f), look=FLAT).labels.max()
        for f in (0.2, 0.4, 0.8)
    ]
    assert 1.5 < counts[1] / counts[0] < 2.7
    assert 1.4 < counts[2] / counts[1] < 2.5


@pytest.mark.parametrize("extent", [(1, 200, 200), (64, 64, 64)])
def test_spindles_are_long_and_as_large_as_asked(extent: tuple[int, int, int]) -> None:
    tissue = Spindles(length=8, branches=0, bend=0.2, filled=0.15, variety=0)
    wide = 16 if extent[0] == 1 else 9
    made = sample_volume(extent, diameter=wide, seed=2, look=FLAT, tissue=tissue)
    labels = made.labels
    cut = np.unique(
        np.concatenate([np.take(labels, (0, -1), axis=a).ravel() for a in (0, 1, 2) if labels.shape[a] > 1])
    )
    sizes = {i: int(n) for i, n in enumerate(np.bincount(labels.ravel())) if i and n and i not in cut}
    assert sizes
    wanted = np.pi / 4 * wide**2 if extent[0] == 1 else np.pi / 6 * wide**3
    assert 0.6 < np.median(list(sizes.values())) / wanted < 1.4
    ratios = []
    for i in sizes:
        spread = np.linalg.eigvalsh(np.cov(np.argwhere(labels == i)[:, -2 if extent[0] == 1 else 0 :].T))
        ratios.append(np.sqrt(spread[-1] / spread[-2]))
    assert np.median(ratios) > 3


@pytest.mark.parametrize("branches", [0.0, 4.0])
def test_every_spindle_is_one_piece_with_a_nucleus_inside(branches: float) -> None:
    made = sample_volume((1, 128, 128), diameter=22, seed=3, tissue=Spindles(branches=branches), look=FLAT)
    for i, box in enumerate(ndimage.find_objects(made.labels.astype(np.int32)), start=1):
        assert ndimage.label(made.labels[box] == i)[1] == 1
        assert (made.nuclei[box] == i).any()
    assert not made.nuclei[made.labels == 0].any()


def test_branches_make_cells_less_convex() -> None:
    def gaps(branches: float) -> float:
        tissue = Spindles(branches=branches, filled=0.1, bend=0, bulge=0)
        labels = sample_volume((1, 256, 256), diameter=24, seed=4, tissue=tissue, look=FLAT).labels[0]
        boxes = ndimage.find_objects(labels.astype(np.int32))
        full = [
            (labels[b] == i).sum() / (ndimage.binary_dilation(labels[b] == i, iterations=4)).sum()
            for i, b in enumerate(boxes, 1)
        ]
        return float(np.median(full))

    assert gaps(6.0) < gaps(0.0)


def test_a_plane_in_a_cone_is_lit_by_cells_above_and_below() -> None:
    def made(cone: float) -> np.ndarray:
        look = Look(NUCLEAR, None, Optics(cone=cone), camera=Camera(noise=0))
        return sample_volume((1, 80, 80), diameter=14, seed=1, look=look, tissue=Tissue(filled=0.3))

    dark, lit = made(0.0), made(0.6)
    assert dark.image.shape == lit.image.shape == (1, 1, 80, 80)
    assert lit.image[0][lit.labels == 0].mean() > 1.2 * dark.image[0][dark.labels == 0].mean()
    assert np.array_equal(np.unique(lit.labels), np.arange(lit.labels.max() + 1))
    assert np.array_equal(lit.nuclei[lit.nuclei > 0], lit.labels[lit.nuclei > 0])


@pytest.mark.parametrize("kind", ["nuclei", "cytoplasm", "membrane", "spindly"])
def test_every_kind_shows_its_cells(kind: str) -> None:
    made = sample_volume((1, 96, 96), diameter=16, look=look_of(kind), tissue=tissue_of(kind))
    assert made.image.dtype == np.uint16
    assert len(made.image) == len(made.channels) == (2 if kind in ("cytoplasm", "membrane") else 1)
    inside, outside = (float(np.median(made.image[0][where])) for where in (made.labels > 0, made.labels == 0))
    assert inside < 0.95 * outside if kind == "spindly" else inside > 1.2 * outside


@pytest.mark.parametrize(
    "make",
    [
        lambda: sample_volume((1, 32, 32), spacing=(0.0, 1.0, 1.0)),
        lambda: sample_volume((1, 32, 32), diameter=float("nan")),
        lambda: look_of("neurons"),
        lambda: tissue_of("neurons"),
        lambda: Spindles(length=0.5),
        lambda: Spindles(filled=float("nan")),
        lambda: Tissue(patchy=2.0),
    ],
)
def test_nonsense_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(SettingsError, match="wanted"):
        make()
