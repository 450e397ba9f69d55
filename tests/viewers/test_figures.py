"""Figures: the right panels at the right proportions, outlines where the borders are, few voxels read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import InputError, OutputError
from bigcell.io.ngff.image import ZarrVolume, open_image
from bigcell.report.colours import object_colours, outlines, resample, window
from bigcell.viewers.figures import labels_on, slices_figure, store_figure
from bigcell.viewers.panels import Plane, orthogonal


def picture_of(path: Path) -> np.ndarray:
    return np.rint(matplotlib.image.imread(path)[..., :3] * 255).astype(int)


def vivid(picture: np.ndarray) -> np.ndarray:
    return picture.max(-1) - picture.min(-1) > 60


def test_three_panels_at_true_proportions() -> None:
    image, labels = np.zeros((1, 4, 10, 20)), np.zeros((4, 10, 20), int)
    cuts = [np.take(image, 0, axis=1 + a) for a in range(3)]
    planes = orthogonal(cuts, [np.take(labels, 0, axis=a) for a in range(3)], Spacing(3, 1, 0.5), (2, 5, 10))
    assert {p.name: p.size for p in planes} == {"xy": (10, 10), "zy": (10, 12), "xz": (12, 10)}
    assert {p.name: p.cut for p in planes} == {"xy": (5.5, 10.5), "zy": (5.5, 2.5), "xz": (2.5, 10.5)}


def test_a_plane_is_one_panel() -> None:
    planes = orthogonal([np.zeros((1, 5, 6))] * 1 + [np.zeros((1, 1, 6)), np.zeros((1, 1, 5))],
                        [np.zeros((5, 6)), np.zeros((1, 6)), np.zeros((1, 5))], Spacing(), (0, 2, 3))  # fmt: skip
    assert [p.name for p in planes] == ["xy"]


def test_outlines_follow_the_border_inside_each_object() -> None:
    labels = np.zeros((20, 20), int)
    labels[2:12, 2:12], labels[2:12, 12:18] = 1, 2
    drawn = outlines(np.zeros((20, 20, 3), np.float32), labels, width=1)
    changed = drawn.any(-1)
    assert not changed[labels == 0].any()
    assert changed[2, 2:12].all()
    assert changed[2:12, [11, 12]].all(), "both sides of a common border"
    assert not changed[4:10, 4:10].any()
    np.testing.assert_allclose(drawn[5, 11], object_colours(np.array([1]))[0])


def test_colours_of_neighbours_differ() -> None:
    colours = object_colours(np.arange(1, 200))
    assert ((colours >= 0) & (colours <= 1)).all()
    assert np.abs(np.diff(colours, axis=0)).max(1).min() > 0.2
    assert len(object_colours(np.array([2**63 + 5], np.uint64))) == 1


def test_window_leaves_an_empty_margin_out() -> None:
    values = np.concatenate([np.zeros(5000), np.linspace(100, 200, 1000)])
    assert window(values) == pytest.approx((101, 199.7))
    assert window(np.full(5, 7)) == (7, 8)
    assert window(np.array([np.nan, 1.0, 2.0]))[1] > 1


def test_nearest_resampling_keeps_ids() -> None:
    big = resample(np.array([[7, 9], [0, 7]]), (10, 6), order=0)
    assert set(np.unique(big)) == {0, 7, 9}
    assert big[0, 0] == 7


def test_the_picture_has_outlines_over_the_image(tmp_path: Path, ball_labels: np.ndarray) -> None:
    image = 1000.0 * (ball_labels > 0)
    path = slices_figure(image, ball_labels, tmp_path / "deep" / "a.png", spacing=(2, 0.5, 0.5), title="balls")
    picture = picture_of(path)
    assert len(np.unique(picture[vivid(picture)] // 16, axis=0)) >= 20, "a colour for each object"
    assert (picture.min(-1) > 230).mean() > 0.05, "the bright inside of the balls"
    # xy is 40 x 48 µm, the depth 96 µm: 144 µm across get 1000 pixels
    assert abs(picture.shape[1] - (1000 + 2 * 28 + 12)) <= 3


def test_two_dimensions(tmp_path: Path, ball_labels: np.ndarray) -> None:
    path = slices_figure(ball_labels[8] > 0, ball_labels[8], tmp_path / "a.png")
    assert vivid(picture_of(path)).any()


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not lie on each other"):
        slices_figure(np.zeros((4, 5, 6)), np.zeros((4, 5, 7), int), tmp_path / "a.png")
    with pytest.raises(InputError, match="is not a voxel"):
        slices_figure(np.zeros((4, 5, 6)), np.zeros((4, 5, 6), int), tmp_path / "a.png", position=(4, 0, 0))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        slices_figure(np.zeros((5, 6)), np.zeros((5, 6), int), tmp_path / "file" / "a.png")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_store(make_store: Any, tmp_path: Path, version: str) -> None:
    picture = picture_of(store_figure(make_store(version=version), tmp_path / "a.png"))
    assert len(np.unique(picture[vivid(picture)] // 16, axis=0)) >= 20


def test_a_store_without_labels(make_store: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no labels to outline"):
        store_figure(make_store(names=()), tmp_path / "a.png")


def test_only_planes_are_read(make_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Box] = []
    true_read = ZarrVolume.read

    def spy(self: ZarrVolume, box: Box) -> Any:
        read.append(box)
        return true_read(self, box)

    monkeypatch.setattr(ZarrVolume, "read", spy)
    store_figure(make_store(), tmp_path / "a.png")
    assert len(read) == 6
    assert all(1 in box.shape for box in read)


def test_labels_of_half_the_resolution_and_another_place(tmp_path: Path, write_multiscale: Any) -> None:
    """Labels of voxels (2, 4..9, 4..9) of the image, every second voxel, find those voxels again."""
    image = open_image(write_multiscale(tmp_path / "i.zarr", np.zeros((4, 16, 16), np.uint8), axes="zyx", levels=1))
    values = np.arange(1, 10, dtype=np.uint32).reshape(1, 3, 3)
    place = {"spacing": (2.0, 1.0, 1.0), "translation": (4.0, 2.25, 2.25), "levels": 1}
    labels = open_image(write_multiscale(tmp_path / "l.zarr", values, axes="zyx", **place))
    seen = labels_on(labels, image, Box((2, 0, 0), (3, 16, 16)))[0]
    np.testing.assert_array_equal(seen[4:10, 4:10], values[0].repeat(2, 0).repeat(2, 1))
    assert (seen > 0).sum() == 36
    assert not labels_on(labels, image, Box((0, 0, 0), (1, 16, 16))).any()


def test_plane_sizes() -> None:
    assert Plane("xy", np.zeros((1, 3, 4)), np.zeros((3, 4), int), (0.5, 0.25)).size == (1.5, 1.0)
