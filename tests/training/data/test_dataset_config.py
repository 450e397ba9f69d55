"""Data files: what they name is opened, what they misspell is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from bigcell.core.errors import InputError, SettingsError
from bigcell.synthetic import sample_volume
from bigcell.training.crops.augment import Augmentation
from bigcell.training.crops.batches import Batches
from bigcell.training.data.dataset_config import DataFile, Entry, open_sources, read_data_file, read_sources
from bigcell.training.data.images import ImageSource
from bigcell.training.data.split import SplitSettings
from bigcell.training.data.volumes import VolumeSource

DATA = Path(__file__).parents[3].parent / "shared" / "data"


def written(folder: Path, text: str) -> Path:
    path = folder / "data.toml"
    path.write_text(text)
    return path


def test_folders_and_volumes_of_one_file(write_pairs: Any, store: Path, tmp_path: Path) -> None:
    write_pairs(5)
    path = written(
        tmp_path,
        """
        [[train]]
        folder = "pairs"
        weight = 2.0
        invertible = true

        [[train]]
        image = "brain.zarr"
        labels = "cells"
        channels = ["cells"]
        boxes = [[0, 30, 0, 72, 0, 40], [0, 30, 0, 72, 79, 80]]

        [split]
        validation = 0.2
        gap = 18
        axis = "x"
        """,
    )
    train, kept = read_sources(path)
    images, volume = train
    assert isinstance(images, ImageSource)
    assert isinstance(volume, VolumeSource)
    assert (images.weight, volume.weight) == (2.0, 1.0)
    assert images.reading.invertible
    assert volume.channels == 1
    assert [box.stop[2] for box in volume.stack.boxes] == [40]
    assert len(kept) == 2
    assert isinstance(kept[0], ImageSource)
    assert sorted(i.name for i in [*images.items, *kept[0].items]) == sorted(
        str(tmp_path / f"pairs/im{i}.png") for i in range(5)
    )
    batch = Batches(train, Augmentation(crop=32), 4, 0).batch(0)
    assert batch.image.shape == (4, 1, 32, 32)
    assert batch.known is not None or set(Batches(train, Augmentation(crop=32), 4, 0).names(0)) == {images.name}


def test_validation_of_its_own_is_not_split(write_pairs: Any, tmp_path: Path) -> None:
    write_pairs(3)
    write_pairs(2, folder="held out", seed=9)
    path = written(tmp_path, '[[train]]\nfolder = "pairs"\n[[validation]]\nfolder = "held out"\n')
    train, kept = read_sources(path)
    assert [len(s.items) for s in (*train, *kept) if isinstance(s, ImageSource)] == [3, 2]


def test_a_folder_or_a_store_needs_no_file(write_pairs: Any, store: Path) -> None:
    train, kept = read_sources(write_pairs(6), split=SplitSettings(0.3))
    assert len(train) == len(kept) == 1
    train, kept = read_sources(store, channels=["nuclei"], split=SplitSettings(0.2, axis="x", gap=18))
    assert (train[0].channels, len(kept)) == (1, 1)
    train, kept = read_sources(store, boxes=[[5, 6, 0, 72, 0, 80]], split=SplitSettings(0.0))
    assert len(list(train[0].planes())) == 1
    assert kept == ()


def test_an_image_knows_where_it_lies_from_the_file(write_pairs: Any, store: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    path = written(
        tmp_path / "sub",
        '[[train]]\nimage = "../brain.zarr"\nlabels = "../brain.zarr/labels/cells"\n[split]\nvalidation = 0.0\n',
    )
    (entry,) = read_data_file(path).train
    assert entry.labels is not None
    assert Path(entry.labels).samefile(store / "labels/cells")
    assert len(read_sources(path)[0]) == 1


def test_a_folder_of_one_stack_is_split_as_a_volume(tmp_path: Path) -> None:
    made = sample_volume((20, 60, 150), diameter=14)
    tifffile.imwrite(tmp_path / "image.tif", made.image)
    tifffile.imwrite(tmp_path / "labels.tif", made.labels)
    train, kept = read_sources(tmp_path)
    assert isinstance(train[0], VolumeSource)
    assert isinstance(kept[0], VolumeSource)
    assert kept[0].stack.bounds.shape == (20, 60, 15)


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the real labelled images are not here")
def test_real_images_with_labels() -> None:
    flat, stack = DATA / "validation/nuclei2d_dsb2018/fluorescence", DATA / "train/membrane3d_root"
    train, kept = open_sources(DataFile((Entry(folder=str(flat)), Entry(folder=str(stack)))))
    assert len(kept) == 2
    batch = Batches(train, Augmentation(), 12, 0).batch(0)
    assert 0.03 < batch.inside.mean() < 0.8
    size = np.hypot(batch.flows[:, 0], batch.flows[:, 1])
    assert (size[batch.inside > 0] > 0.99).mean() > 0.97


def test_two_files_are_a_volume_too(tmp_path: Path) -> None:
    made = sample_volume((20, 60, 64), diameter=14, spacing=(2, 1, 1))
    tifffile.imwrite(tmp_path / "image.tif", made.image)
    tifffile.imwrite(tmp_path / "cells.tif", made.labels)
    text = '[[train]]\nimage = "image.tif"\nlabels = "cells.tif"\nanisotropy = 2.0\nboxes = [[0, 20, 0, 60, 0, 30]]\n'
    train, _ = read_sources(written(tmp_path, text + "[split]\nvalidation = 0.0\n"))
    (volume,) = train
    assert isinstance(volume, VolumeSource)
    assert (volume.channels, volume.stack.anisotropy) == (2, 2.0)
    assert {plane.labels.shape for plane in volume.planes()} == {(60, 30), (40, 30), (40, 60)}
    with pytest.raises(InputError, match="wanted the path of its labels"):
        read_sources(written(tmp_path, '[[train]]\nimage = "image.tif"\n'))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[train]]\nfolder = "a"\nweigth = 2\n', "no setting 'weigth'; did you mean 'weight'"),
        ('[[trian]]\nfolder = "a"\n', "did you mean 'train'"),
        ('[train]\nfolder = "a"\n', r"write \[\[train\]\]"),
        ("", "nothing to train on"),
        ("[[train]]\n", "wanted either a folder"),
        ('[[train]]\nfolder = "a"\nimage = "b"\n', "wanted either a folder"),
        ('[[train]]\nfolder = "a"\nboxes = [[0, 1, 0, 1, 0, 1]]\n', "boxes go with an image"),
        ('[[train]]\nimage = "a"\nboxes = [[0, 1, 0, 1]]\n', "wanted z0, z1"),
        ('[[train]]\nimage = "a"\nboxes = [[0, 1, 0, 1, 5, 5]]\n', "each end above its start"),
        ('[[train]]\nimage = "a"\nboxes = 3\n', "wanted z0, z1"),
        ('[[train]]\nfolder = "a"\nweight = -1\n', "weight is -1; wanted a number above 0"),
        ('[[train]]\nfolder = "a"\nweight = "x"\n', "wanted a number above 0"),
        ('[[train]]\nfolder = "a"\ndiameter = nan\n', "wanted a number above 0"),
        ("[[train]]\nfolder = 3\n", "wanted a str"),
        ('[[train]]\nfolder = "a"\nchannels = "cells"\n', "wanted a list"),
        ('[[train]]\nfolder = "a"\n[split]\nvalidation = 2\n', "wanted a part"),
        ('[[train]]\nfolder = "a"\n[[validation]]\nfolder = "a"\n[split]\n', "nothing to split"),
        ("[[train]\n", "is not a data file in TOML"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"data\.toml.*{told}"):
        read_sources(written(tmp_path, text))


def test_a_file_says_everything_itself(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="write them there"):
        read_sources(tmp_path / "a.toml", channels=[0])
    with pytest.raises(InputError, match="does not exist"):
        read_sources(tmp_path / "a.toml")
    with pytest.raises(SettingsError, match="no boxes of it"):
        read_sources(tmp_path, boxes=[[0, 1, 0, 1, 0, 1]])


def test_the_same_data_give_the_same_batches(write_pairs: Any) -> None:
    folder = write_pairs(4)
    one, two = (Batches(read_sources(folder)[0], Augmentation(crop=32), 3, 1).batch(2) for _ in range(2))
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.flows, two.flows)
