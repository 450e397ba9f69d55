"""Data that cannot be learned from: one sentence each, naming the file, before anything begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from bigcell.core.errors import InputError
from bigcell.io.ngff.write_image import write_image
from bigcell.training.data.dataset_config import DataFile, Entry, open_sources, read_sources
from bigcell.training.data.split import SplitSettings

GOOD = np.kron(np.arange(1, 17).reshape(4, 4), np.pad(np.ones((8, 8), int), 2)).astype(np.uint16)
IMAGE = np.random.default_rng(0).integers(0, 999, GOOD.shape).astype(np.uint16)


def refusal(folder: Path, image: np.ndarray, labels: np.ndarray, **entry: Any) -> str:
    """What is said of a folder of a good pair and this one, whose name must be in it."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "good.npy", IMAGE)
    np.save(folder / "good_masks.npy", GOOD)
    np.save(folder / "odd.npy", image)
    np.save(folder / "odd_masks.npy", labels)
    with pytest.raises(InputError) as caught:
        open_sources(DataFile((Entry(folder=str(folder), **entry),)))
    told = str(caught.value)
    assert str(folder / "odd.npy") in told
    assert "\n" not in told
    return told


def test_a_good_pair_is_taken(tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", IMAGE)
    np.save(tmp_path / "good_masks.npy", GOOD)
    train, _ = read_sources(tmp_path)
    assert next(train[0].planes()).labels.max() == 16


def floats(**changed: float) -> np.ndarray:
    values = IMAGE.astype(np.float32)
    values[7, 9] = changed["value"]
    return values


@pytest.mark.parametrize(
    ("image", "labels", "told"),
    [
        (IMAGE, GOOD[:40], r"extent (1, 48, 48) (z, y, x), its labels (1, 40, 48)"),
        (IMAGE, GOOD * 0, "its labels hold no cell"),
        (IMAGE * 0 + 7, GOOD, "the image is the same all over, its labels hold 16 cells"),
        (IMAGE, (GOOD > 0) * 1, "one object only, in 16 pieces"),
        (IMAGE, np.ones_like(GOOD), "one object only"),
        (IMAGE, -GOOD.astype(np.int32), "labels hold -1 at voxel (0, 2, 2)"),
        (IMAGE, GOOD + 0.5, "labels are float64 and hold 0.5 at voxel (0, 0, 0)"),
        (IMAGE, np.where(GOOD == 3, np.nan, GOOD), "hold nan at"),
        (floats(value=np.nan), GOOD, "the image holds nan at voxel (0, 7, 9) (z, y, x) of channel 0"),
        (floats(value=np.inf), GOOD, "the image holds inf at"),
    ],
)
def test_each_is_told_in_one_sentence(image: np.ndarray, labels: np.ndarray, told: str, tmp_path: Path) -> None:
    assert told in refusal(tmp_path / "a", image, labels)


def test_whole_numbers_in_floats_are_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGE)
    np.save(tmp_path / "a_masks.npy", GOOD.astype(np.float64))
    train, _ = read_sources(tmp_path)
    assert next(train[0].planes()).labels.max() == 16


def test_one_cell_in_one_piece_is_a_cell(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGE)
    np.save(tmp_path / "a_masks.npy", np.where(GOOD == 6, 6, 0))
    assert len(read_sources(tmp_path)[0]) == 1


def test_images_without_cells_can_be_meant(tmp_path: Path) -> None:
    for name, labels in (("a", GOOD), ("b", GOOD * 0)):
        np.save(tmp_path / f"{name}.npy", IMAGE)
        np.save(tmp_path / f"{name}_masks.npy", labels)
    split = SplitSettings(0.0)
    assert len(open_sources(DataFile((Entry(folder=str(tmp_path), empty=True),), (), split))[0]) == 1
    for given in (None, 12.0):
        with pytest.raises(InputError, match=r"b\.npy: its labels hold no cell"):
            open_sources(DataFile((Entry(folder=str(tmp_path), diameter=given),), (), split))


def test_channels_that_differ_or_are_too_many(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGE)
    np.save(tmp_path / "a_masks.npy", GOOD)
    colour = np.stack([IMAGE] * 3).astype(np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", colour, photometric="rgb", planarconfig="separate")
    np.save(tmp_path / "b_masks.npy", GOOD)
    with pytest.raises(InputError, match=r"b\.tif has 3 channels, .*a\.npy has 1; wanted the same"):
        read_sources(tmp_path)
    assert read_sources(tmp_path, channels=["grey"])[0][0].channels == 1
    with pytest.raises(InputError, match=r"a\.npy: channel 1 is not there; the image has 0: 0"):
        read_sources(tmp_path, channels=[0, 1])
    five = tmp_path / "five"
    five.mkdir()
    tifffile.imwrite(five / "c.tif", np.stack([IMAGE] * 5)[:, None], metadata={"axes": "CZYX"}, imagej=False)
    np.save(five / "c_masks.npy", GOOD)
    with pytest.raises(InputError, match=r"c\.tif has 5 channels .*wanted up to 3: choose some"):
        read_sources(five)


def test_labels_of_many_channels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGE)
    tifffile.imwrite(tmp_path / "a_masks.tif", np.stack([GOOD] * 3, -1).astype(np.uint8), photometric="rgb")
    with pytest.raises(InputError, match=r"a\.npy: labels have 3 channels; wanted one"):
        read_sources(tmp_path)


def test_an_image_without_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGE)
    with pytest.raises(InputError, match=r"a\.npy has no labels beside it"):
        read_sources(tmp_path)


def test_files_that_are_damaged(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGE)
    (tmp_path / "a_masks.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match=r"a_masks\.npy is not a \.npy file"):
        read_sources(tmp_path)
    (tmp_path / "a_masks.npy").unlink()
    (tmp_path / "a_seg.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match=r"a_seg\.npy"):
        read_sources(tmp_path)


def test_boxes_outside_of_the_volume(store: Path) -> None:
    with pytest.raises(InputError, match=r"brain\.zarr: box .* does not lie in the volume of extent \(30, 72, 80\)"):
        read_sources(store, boxes=[[0, 31, 0, 72, 0, 80]])
    zarr.open_array(store / "labels/cells/0", mode="r+")[:4] = 0
    with pytest.raises(InputError, match=r"brain\.zarr: the annotated boxes hold no cell"):
        read_sources(store, boxes=[[0, 4, 0, 72, 0, 80]])


def test_labels_of_another_extent_in_a_store(store: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "other.zarr", np.zeros((4, 8, 8), np.uint32), levels=1)
    entry = Entry(image=str(store), labels=str(tmp_path / "other.zarr"))
    with pytest.raises(InputError, match=r"brain\.zarr: the image has extent .* its labels \(4, 8, 8\)"):
        open_sources(DataFile((entry,)))
