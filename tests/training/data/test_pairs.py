"""Pairs of files: found by their names, opened as volumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.io import imsave

from bigcell.core.box import Box
from bigcell.core.errors import InputError
from bigcell.training.data.images import open_item
from bigcell.training.data.pairs import FilePair, find_pairs
from bigcell.training.stacks.stack import Reading, plane_image


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def found(folder: Path) -> dict[str, str]:
    return {Path(pair.image).name: Path(pair.labels).name for pair in find_pairs(folder)}


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("a.tif", "a_masks.tif"),
        ("a.png", "a_masks.tif"),
        ("a.jpg", "a_cp_masks.png"),
        ("a.npy", "a_labels.npy"),
        ("a.tif", "a_seg.npy"),
        ("a_img.png", "a_masks.png"),
        ("a_img.png", "a_img_masks.png"),
        ("a_image.png", "a_labels.png"),
        ("image.tif", "labels.tif"),
        ("img.tif", "masks.tif"),
    ],
)
def test_names_of_cellpose_and_ours(image: str, labels: str, tmp_path: Path) -> None:
    touch(tmp_path, image, labels, "README.txt", ".hidden_masks.tif", "a_flows.tif", "a_outlines.png")
    assert found(tmp_path) == {image: labels}


def test_masks_count_before_what_the_window_saved(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "a_seg.npy", "a_masks.tif", "b.tif", "b_seg.npy")
    assert found(tmp_path) == {"a.tif": "a_masks.tif", "b.tif": "b_seg.npy"}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["a.tif", "b.tif", "b_masks.tif"], r"a\.tif has no labels beside it; wanted a_masks\.tif"),
        (["a.tif", "a_masks.tif", "b_masks.tif"], r"b_masks\.tif holds labels, but there is no image"),
        (["a.tif", "a_masks.tif", "a_masks.png"], r"a_masks\.png and a_masks\.tif are labels of one name"),
        (["a.tif", "a.png", "a_masks.png"], r"a\.png and .*a\.tif have the same labels"),
        (["readme.txt"], "holds no images"),
        (["a_masks.tif"], "holds no images"),
    ],
)
def test_what_does_not_pair_is_told(names: list[str], told: str, tmp_path: Path) -> None:
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=told):
        find_pairs(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        find_pairs(tmp_path / "none")


def test_a_pair_is_opened_as_two_volumes(tmp_path: Path) -> None:
    colour = np.zeros((20, 30, 3), np.uint8)
    colour[4:9, 5:12, 1] = 200
    masks = (colour[..., 1] > 0).astype(np.uint16)
    imsave(tmp_path / "a.png", colour, check_contrast=False)
    np.save(tmp_path / "a_seg.npy", np.array({"masks": masks}, dtype=object), allow_pickle=True)
    (pair,) = find_pairs(tmp_path)
    image, labels = pair.open()
    assert image.extent == labels.extent == (1, 20, 30)
    assert image.channels == ("red", "green", "blue")
    assert np.array_equal(labels.read(Box.of((1, 20, 30)))[0, 0], masks)
    assert pair == FilePair(str(tmp_path / "a.png"), str(tmp_path / "a_seg.npy"))


def test_axes_that_a_file_does_not_say_are_those_of_its_labels(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 99, (2, 6, 20, 30)).astype(np.uint16)
    shapes = {"a": (image[0], "zyx"), "b": (image, "czyx"), "c": (image.swapaxes(0, 1), "zcyx")}
    for name, (values, _) in shapes.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", values)
        tifffile.imwrite(tmp_path / f"{name}_masks.tif", np.ones((6, 20, 30), np.uint16))
    for pair in find_pairs(tmp_path):
        volume, labels = pair.open()
        assert volume.extent == labels.extent == (6, 20, 30)
        wanted = image[:1] if "a.tif" in pair.name else image
        assert np.array_equal(volume.read(Box.of((6, 20, 30))), wanted)
    tifffile.imwrite(tmp_path / "a.tif", image[0, :5])
    with pytest.raises(InputError, match=r"a\.tif has shape 5 x 20 x 30, and does not say what its axes are"):
        find_pairs(tmp_path)[0].open()
    volume, _ = find_pairs(tmp_path, axes="cyx")[0].open()
    assert volume.extent == (1, 20, 30)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u2", "f4", "i4"])
def test_files_in_either_byte_order_are_learned_from(tmp_path: Path, order: str, dtype: str) -> None:
    pixels = np.zeros((24, 24), dtype)
    pixels[4:20, 4:20] = 1
    for name in ("a.tif", "a_masks.tif"):
        values = pixels.astype("u2") if "masks" in name else pixels
        tifffile.imwrite(tmp_path / name, values, byteorder=order, imagej=dtype in ("u2", "f4"))
    (pair,) = find_pairs(tmp_path)
    stack = open_item(pair, Reading())
    assert stack.cells == 1
    assert plane_image(stack, stack.views(stack.bounds)[0], 0, (0, 24), (0, 24)).max() == 1
