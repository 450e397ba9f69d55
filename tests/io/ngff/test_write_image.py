"""Images written as OME-Zarr: the voxels given, a pyramid of means, valid, bounded memory, whole or absent."""

from __future__ import annotations

import warnings

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models import open_ome_zarr

from bigcell.core.axes import Spacing
from bigcell.core.box import Box
from bigcell.core.errors import OutputError, SettingsError
from bigcell.core.volume import ArrayVolume
from bigcell.io.ngff import write_image as writing
from bigcell.io.ngff.image import open_image, read_info
from bigcell.io.ngff.layout import grid_of
from bigcell.io.ngff.pyramid import reduce_image
from bigcell.io.ngff.write_image import pieces, write_image


def voxels_of(path, **choice):
    volume = open_image(path, **choice)
    return volume.read(Box.of(volume.extent))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("shape", [(30, 40), (7, 30, 40), (2, 7, 30, 40), (3, 1, 30, 40)])
def test_voxels_and_pyramid_come_back(tmp_path, version, shape):
    array = np.random.default_rng(0).integers(0, 60000, shape).astype(np.uint16)
    path = write_image(
        tmp_path / "i.zarr",
        array,
        spacing=Spacing(2, 1, 1),
        version=version,
        levels=3,
        chunk=(4, 8, 8),
        shard=(4, 16, 16),
    )
    volume = ArrayVolume(array)
    level = volume.array
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert type(open_ome_zarr(path, version=version)).__name__ == "Image"
    info = read_info(path)
    assert len(info.levels) == 3
    assert info.spacing() == Spacing(2 if level.shape[1] > 1 else 1, 1, 1)
    for k in range(3):
        assert np.array_equal(voxels_of(path, level=k), level)
        assert np.array_equal(da.from_zarr(str(path), component=str(k)).compute().ravel(), level.ravel())
        if k < 2:
            factor = [round(b / a) for a, b in zip(info.spacing(k).zyx, info.spacing(k + 1).zyx, strict=True)]
            level = reduce_image(level, factor)
    assert [p.name for p in tmp_path.iterdir()] == ["i.zarr"]
    assert len([n for n in Reader(parse_url(str(path)))() if n.data]) == 1


def test_coarse_levels_lie_where_their_means_do(tmp_path):
    array = np.zeros((16, 16), np.float32)
    array[5, 9] = 1
    info = read_info(write_image(tmp_path / "i.zarr", array, spacing=Spacing(1, 0.5, 0.5), levels=2))
    (y, x), level = np.argwhere(voxels_of(tmp_path / "i.zarr", level=1)[0, 0])[0], info.levels[1]
    assert abs(level.translation[0] + y * level.scale[0] - 5 * 0.5) <= 0.25
    assert abs(level.translation[1] + x * level.scale[1] - 9 * 0.5) <= 0.25


def test_channels_have_names_and_contrast(tmp_path):
    array = np.zeros((2, 4, 50, 50), np.uint16)
    array[1] = np.linspace(100, 1100, 50)[None, None].astype(np.uint16)
    path = write_image(tmp_path / "i.zarr", array, channels=["nuclei", "membrane"])
    info = read_info(path)
    assert info.channels == ("nuclei", "membrane")
    (dark, (start, end)) = info.windows
    assert dark == (0, 1)
    assert 100 <= start < 110
    assert 1090 < end <= 1100
    assert not info.spacing().known
    one = read_info(write_image(tmp_path / "one.zarr", array[0], channels=["DAPI"]))
    assert (one.axes, one.channels) == (("z", "y", "x"), ("DAPI",))


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
@pytest.mark.parametrize(("shape", "plane", "model"), [((9, 30, 40), 4, "greyscale"), ((2, 7, 30, 40), 3, "color")])
def test_the_plane_and_time_to_show_first_are_told(tmp_path, version, shape, plane, model):
    """A reader that finds one of the three missing may drop all else that the image says of itself."""
    path = write_image(tmp_path / "i.zarr", np.ones(shape, np.uint16), version=version)
    attributes = dict(zarr.open_group(path, mode="r").attrs)
    omero = attributes.get("ome", attributes)["omero"]
    assert omero["rdefs"] == {"defaultT": 0, "defaultZ": plane, "model": model}


def test_time_points_and_chosen_axes(tmp_path):
    volumes = [ArrayVolume(np.full((3, 8, 9), t, np.uint8)) for t in range(4)]
    path = write_image(tmp_path / "t.zarr", volumes)
    assert read_info(path).axes == ("t", "z", "y", "x")
    assert [voxels_of(path, time=t).max() for t in range(4)] == [0, 1, 2, 3]
    whole = write_image(tmp_path / "five.zarr", volumes[0], axes="tczyx")
    assert read_info(whole).levels[0].shape == (1, 1, 3, 8, 9)
    open_ome_zarr(whole, version="0.5")


def test_a_volume_is_read_in_pieces_of_whole_planes(tmp_path, monkeypatch):
    seen = []

    class Watched(ArrayVolume):
        def read(self, box):
            seen.append(box)
            return super().read(box)

    monkeypatch.setattr(writing, "PIECE_BYTES", 64 * 64 * 4 * 2)
    array = np.random.default_rng(1).integers(0, 9, (10, 64, 64)).astype(np.uint16)
    path = write_image(tmp_path / "i.zarr", Watched(array), chunk=(4, 8, 8), shard=(4, 16, 16))
    assert [b.shape for b in seen] == [(4, 64, 64), (4, 64, 64), (2, 64, 64)]
    assert np.array_equal(voxels_of(path)[0], array)


@settings(max_examples=100)
@given(data=st.data())
def test_pieces_tile_the_image_with_whole_shards(data):
    sizes = st.tuples(*[st.integers(1, 40)] * 3)
    grid = grid_of(data.draw(sizes), data.draw(sizes), data.draw(sizes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "PIECE_BYTES", data.draw(st.integers(1, 20000)))
        boxes = list(pieces(grid, 2))
    seen = np.zeros(grid.extent, int)
    for box in boxes:
        seen[box.slices] += 1
        for a, b, s, n in zip(box.start, box.stop, grid.shard, grid.extent, strict=True):
            assert a % s == 0
            assert b % s == 0 or b == n
    assert (seen == 1).all()


def test_on_disk(tmp_path):
    array = zarr.open_array(write_image(tmp_path / "i.zarr", np.ones((70, 600, 600), np.uint16)) / "0", mode="r")
    assert (array.chunks, array.shards, array.metadata.dimension_names) == (
        (64,) * 3,
        (128, 512, 512)[:0] or (64, 512, 512),
        ("z", "y", "x"),
    )
    assert array.compressors[0].to_dict()["configuration"]["shuffle"] == "shuffle"
    plane = zarr.open_array(write_image(tmp_path / "p.zarr", np.ones((600, 600), np.uint8)) / "0", mode="r")
    assert (plane.chunks, plane.shards) == ((512, 512), (1024, 1024))
    old = zarr.open_array(
        write_image(tmp_path / "o.zarr", np.ones((70, 80, 90), np.uint8), version="0.4") / "0", mode="r"
    )
    assert (old.chunks, old.shards, old.compressors[0].codec_id) == ((64,) * 3, None, "blosc")


def test_overwriting_needs_leave_and_an_image(tmp_path):
    path = write_image(tmp_path / "i.zarr", np.zeros((4, 4), np.uint8))
    with pytest.raises(OutputError, match="exists already"):
        write_image(path, np.ones((4, 4), np.uint8))
    write_image(path, np.ones((4, 4), np.uint8), overwrite=True)
    assert voxels_of(path).all()
    (tmp_path / "photos").mkdir()
    with pytest.raises(OutputError, match="not a zarr group, so it will not be overwritten"):
        write_image(tmp_path / "photos", np.ones((4, 4), np.uint8), overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["i.zarr", "photos"]


def test_a_failed_write_leaves_nothing(tmp_path):
    class Failing(ArrayVolume):
        def read(self, box):
            raise RuntimeError("lamp went out")

    write_image(tmp_path / "i.zarr", np.ones((4, 4), np.uint8))
    with pytest.raises(RuntimeError, match="lamp"):
        write_image(tmp_path / "i.zarr", Failing(np.zeros((4, 4))), overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["i.zarr"]
    assert voxels_of(tmp_path / "i.zarr").all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"version": "0.3"}, SettingsError, "wanted one of 0.4, 0.5, 0.6"),
        ({"axes": "yx"}, SettingsError, "cannot hold this image; wanted czyx"),
        ({"axes": "czyxx"}, SettingsError, "cannot hold this image"),
        ({"axes": "zcyx"}, SettingsError, "out of order"),
        ({"channels": ["a"]}, SettingsError, "1 channel names for 2 channels"),
        ({"levels": 0}, SettingsError, "0 levels asked for"),
        ({"path": "s3://bucket/i.zarr"}, OutputError, "cannot be written to the URL"),
        ({"path": "/nowhere/at/all.zarr"}, OutputError, "is not a folder"),
    ],
)
def test_bad_requests(tmp_path, options, error, message):
    path = options.pop("path", tmp_path / "i.zarr")
    with pytest.raises(error, match=message):
        write_image(path, np.zeros((2, 3, 4, 5), np.uint8), **options)
    with pytest.raises(SettingsError, match="2 time points of 2 shapes"):
        write_image(tmp_path / "t.zarr", [ArrayVolume(np.zeros((2, 2))), ArrayVolume(np.zeros((2, 3)))])
