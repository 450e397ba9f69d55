"""Synthetic volumes: the same every time, packed, touching, and seen by the image."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from bigcell.core.errors import SettingsError
from bigcell.synthetic import (
    MEMBRANE,
    Backdrop,
    Camera,
    Look,
    Optics,
    SyntheticVolume,
    Tissue,
    sample_volume,
)


@pytest.fixture(scope="module")
def sample() -> SyntheticVolume:
    return sample_volume((32, 96, 80), diameter=20, spacing=(2.0, 1.0, 1.0), seed=5)


def test_shapes_and_ids(sample: SyntheticVolume) -> None:
    assert sample.image.shape == (2, 32, 96, 80)
    assert sample.image.dtype == np.uint16
    assert sample.labels.dtype == sample.nuclei.dtype == np.uint32
    n = int(sample.labels.max())
    assert np.array_equal(np.unique(sample.labels), np.arange(n + 1))
    assert sample.volume.extent == (32, 96, 80)
    assert sample.volume.spacing.anisotropy == 2


def test_the_same_arguments_give_the_same_voxels(sample: SyntheticVolume) -> None:
    again = sample_volume((32, 96, 80), diameter=20, spacing=(2.0, 1.0, 1.0), seed=5)
    other = sample_volume((32, 96, 80), diameter=20, spacing=(2.0, 1.0, 1.0), seed=6)
    assert np.array_equal(sample.image, again.image)
    assert np.array_equal(sample.labels, again.labels)
    assert not np.array_equal(sample.labels, other.labels)


def test_cells_are_packed_whole_and_of_the_size_asked_for(sample: SyntheticVolume) -> None:
    labels = sample.labels
    assert (labels > 0).mean() > 0.6
    here, there = labels[:, :, 1:], labels[:, :, :-1]
    touching = (here != there) & (here > 0) & (there > 0)
    assert touching.sum() > 0.3 * ((here > 0) != (there > 0)).sum()
    for i, box in enumerate(ndimage.find_objects(labels.astype(np.int32)), start=1):
        assert ndimage.label(labels[box] == i)[1] == 1
    sides = [labels.take(i, axis).ravel() for axis in range(3) for i in (0, -1)]
    inner = np.setdiff1d(labels, np.concatenate(sides))
    volume = np.median(np.bincount(labels.ravel())[inner]) * 2.0
    assert 0.75 * 20 < (volume * 6 / np.pi) ** (1 / 3) < 1.15 * 20


def test_long_voxels_make_flat_cells(sample: SyntheticVolume) -> None:
    boxes = ndimage.find_objects(sample.labels.astype(np.int32))
    z, _, x = np.median([[s.stop - s.start for s in box] for box in boxes], axis=0)
    assert 1.4 < x / z < 2.6


def test_nuclei_lie_in_their_cells(sample: SyntheticVolume) -> None:
    inside = sample.nuclei > 0
    assert np.array_equal(sample.nuclei[inside], sample.labels[inside])
    assert 0.08 < inside.sum() / (sample.labels > 0).sum() < 0.5


def test_the_image_shows_the_truth(sample: SyntheticVolume) -> None:
    cells, nuclei = sample.image.astype(float)
    assert np.median(cells[sample.labels > 0]) > 2 * np.median(cells[sample.labels == 0])
    assert np.median(nuclei[sample.nuclei > 0]) > 3 * np.median(nuclei[sample.nuclei == 0])
    labels = sample.labels
    seam = np.zeros(labels.shape, bool)
    seam[..., 1:] = (labels[..., 1:] != labels[..., :-1]) & (labels[..., 1:] > 0) & (labels[..., :-1] > 0)
    core = ndimage.binary_erosion(sample.labels > 0) & ~ndimage.binary_dilation(seam, iterations=3)
    assert cells[seam].mean() < 0.8 * cells[core & (sample.nuclei == 0)].mean()


def test_a_membrane_look_has_bright_seams() -> None:
    made = sample_volume((1, 96, 96), look=Look(MEMBRANE, camera=Camera(noise=0.3)), seed=1)
    labels, cells = made.labels[0], made.image[0, 0].astype(float)
    seam = np.zeros(labels.shape, bool)
    seam[:, 1:] = (labels[:, 1:] != labels[:, :-1]) & (labels[:, 1:] > 0) & (labels[:, :-1] > 0)
    assert cells[seam].mean() > 1.5 * np.median(cells[labels > 0])


def test_a_plane_holds_cross_sections() -> None:
    made = sample_volume((1, 128, 128), diameter=16)
    assert made.image.shape == (2, 1, 128, 128)
    assert 30 < made.labels.max() < 140
    assert (made.labels > 0).mean() > 0.6


def test_a_gap_keeps_cells_apart() -> None:
    made = sample_volume((24, 64, 64), diameter=20, tissue=Tissue(gap=0.1, irregularity=0))
    here, there = made.labels[..., 1:], made.labels[..., :-1]
    assert not ((here != there) & (here > 0) & (there > 0)).any()
    assert (made.labels > 0).mean() < (sample_volume((24, 64, 64), diameter=20).labels > 0).mean()


def test_no_noise_no_blur_is_flat_outside() -> None:
    made = sample_volume(
        (1, 64, 64), look=Look(optics=Optics(blur=0), backdrop=Backdrop(level=50), camera=Camera(noise=0))
    )
    assert set(np.unique(made.image[0][made.labels == 0])) == {50}


def test_it_is_quick() -> None:
    sample_volume((4, 32, 32))
    began = time.process_time()
    sample_volume((32, 128, 128))
    assert time.process_time() - began < 8  # an eighth of 64 x 256 x 256, which may take 20 s, and some slack


@pytest.mark.parametrize(
    "make",
    [
        lambda: sample_volume((1, 32, 32), diameter=0.5),
        lambda: sample_volume((0, 32, 32)),
        lambda: Camera(noise=-1.0),
        lambda: Tissue(filled=0.0),
        lambda: Tissue(gap=0.7),
    ],
)
def test_nonsense_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(SettingsError, match="wanted"):
        make()


def test_haze_lights_up_the_background_around_cells() -> None:
    def dark(haze: float) -> float:
        look = Look(optics=Optics(haze=haze), backdrop=Backdrop(level=0), camera=Camera(noise=0))
        made = sample_volume((1, 96, 96), look=look, tissue=Tissue(filled=0.5), seed=3)
        return float(made.image[0][made.labels == 0].mean())

    assert dark(0.5) > 2 * dark(0.0)
